package license

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of options.
const (
	MostText       = 2 << 10 // bytes
	MostAccessList = 64      // rules
	MostAccessRule = 255     // bytes of a rule's value
	MostData       = 4 << 10 // bytes of protected, and of secret data
	MostUsage      = 10 * 365 * 24 * time.Hour
	MostLinger     = 7 * 24 * time.Hour
	MostUnits      = 1 << 53 // so that every peer counts exactly
)

// Options are the properties of a license. Times are in UTC with a precision of
// seconds; the zero time is no such limit.
type Options struct {
	// Quantity is the license quantity (LQ): how many seats there are. Zero:
	// local only, so programs on the license server's own machine use it without
	// a limit of number, and nobody else.
	Quantity uint32
	// TMRID marks three licenses as one; consecutive, new with each update.
	// Zero: not a TMR license.
	TMRID uint32
	// Activation is the instant from which the license counts.
	Activation time.Time
	// Expiration is the instant from which the license no longer counts.
	Expiration time.Time
	// UsagePeriod is how long the license counts from its first use, in whole
	// seconds; zero: without end. (An emergency license.) TMR licenses have none.
	UsagePeriod time.Duration
	// Units is the unit counter: how many units programs may take in all under
	// this Issue. Nil: not counted by units. Only an update raises it.
	Units *uint64
	// Issue counts up when the vendor gives used-up things anew: under a higher
	// one the usage period starts again, and no unit is taken yet.
	Issue uint32
	// FeatureMap is a mask of 32 switches that the program interprets.
	FeatureMap uint32
	// Maintenance bounds the release date of programs that may use the license,
	// by days in UTC; both days are included.
	Maintenance Maintenance
	// MinimumVersion is the lowest program version that may use the license;
	// empty: any.
	MinimumVersion Version
	// Text is for people and programs, free of meaning here.
	Text string
	// AccessList says who may use the license; empty: everybody.
	AccessList []AccessRule
	// Linger is how long a released seat stays with its client, in whole seconds.
	Linger time.Duration
	// Protected and Secret name the license's data: a new name for each content,
	// zero where there is none. The data itself never leaves the containers,
	// but for protected data, which who has a handle may read.
	Protected, Secret DataName
}

// DataName names one content of protected or secret data.
type DataName [16]byte

// Maintenance is a period of release dates.
type Maintenance struct{ From, Until time.Time }

// Equal compares all options; times as instants.
func (o Options) Equal(p Options) bool {
	return o.Quantity == p.Quantity && o.TMRID == p.TMRID &&
		o.Activation.Equal(p.Activation) && o.Expiration.Equal(p.Expiration) &&
		o.UsagePeriod == p.UsagePeriod && equalUnits(o.Units, p.Units) && o.Issue == p.Issue &&
		o.FeatureMap == p.FeatureMap &&
		o.Maintenance.From.Equal(p.Maintenance.From) && o.Maintenance.Until.Equal(p.Maintenance.Until) &&
		o.MinimumVersion == p.MinimumVersion && o.Text == p.Text &&
		slices.Equal(o.AccessList, p.AccessList) && o.Linger == p.Linger &&
		o.Protected == p.Protected && o.Secret == p.Secret
}

func equalUnits(a, b *uint64) bool {
	return (a == nil) == (b == nil) && (a == nil || *a == *b)
}

// Clone shares nothing with o.
func (o Options) Clone() Options {
	if o.Units != nil {
		n := *o.Units
		o.Units = &n
	}
	o.AccessList = slices.Clone(o.AccessList)
	return o
}

// TimeLimited says whether the license depends on what time it is.
func (o Options) TimeLimited() bool {
	return !o.Activation.IsZero() || !o.Expiration.IsZero() || o.UsagePeriod != 0
}

// Validate says whether options can be those of a license. Error:
// CodeInvalidInput.
func (o Options) Validate() error {
	invalid := func(fix, format string, args ...any) error { return Errorf(CodeInvalidInput, fix, format, args...) }
	for _, t := range []struct {
		name string
		at   time.Time
	}{
		{"activation time", o.Activation}, {"expiration time", o.Expiration},
		{"begin of the maintenance period", o.Maintenance.From}, {"end of the maintenance period", o.Maintenance.Until},
	} {
		if !t.at.IsZero() && (t.at.Nanosecond() != 0 || t.at.Unix() <= 0 || t.at.Unix() > latest) {
			return invalid("give a whole second from 1970 to 9999", "the %s is not a whole second of these years", t.name)
		}
	}
	switch {
	case !o.Activation.IsZero() && !o.Expiration.IsZero() && !o.Activation.Before(o.Expiration):
		return invalid("let it begin before it ends", "the activation time is not before the expiration time")
	case !o.Maintenance.From.IsZero() && !o.Maintenance.Until.IsZero() && o.Maintenance.Until.Before(o.Maintenance.From):
		return invalid("let it begin before it ends", "the maintenance period ends before it begins")
	case o.UsagePeriod < 0 || o.UsagePeriod > MostUsage || o.UsagePeriod%time.Second != 0:
		return invalid("give whole seconds, up to ten years", "a usage period of %s is not possible", o.UsagePeriod)
	case o.Linger < 0 || o.Linger > MostLinger || o.Linger%time.Second != 0:
		return invalid("give whole seconds, up to seven days", "a linger time of %s is not possible", o.Linger)
	case o.Units != nil && *o.Units > MostUnits:
		return invalid("grant at most 9007199254740992 units", "%d units are too many", *o.Units)
	case len(o.Text) > MostText || !utf8.ValidString(o.Text):
		return invalid("shorten it to 2048 bytes of UTF-8", "the text has %d bytes, or is no UTF-8", len(o.Text))
	case len(o.AccessList) > MostAccessList:
		return invalid("use subnets or groups in place of single names", "the access list has %d rules: 64 are the most", len(o.AccessList))
	case o.TMRID != 0 && o.UsagePeriod != 0:
		return invalid("leave it out, or license it on a single container", "a TMR license has no usage period")
	case o.TMRID != 0 && o.Quantity == 0:
		return invalid("give a quantity of at least 1", "a TMR license can't be local only: it is used over the network")
	}
	if err := o.MinimumVersion.Validate(); err != nil {
		return err
	}
	for i, r := range o.AccessList {
		if err := r.Validate(); err != nil {
			return err
		}
		if slices.Contains(o.AccessList[:i], r) {
			return invalid("leave one out", "the access list has the rule %q twice", r)
		}
	}
	return nil
}

// latest is the last second of the year 9999.
const latest = 253402300799

// Version is a program's version: one to four decimal numbers with dots
// between, "2" to "10.4.0.1178". Numbers that are left out count as zero.
type Version string

// Validate refuses what is no version with CodeInvalidInput; empty is fine.
func (v Version) Validate() error {
	if v == "" {
		return nil
	}
	parts := strings.Split(string(v), ".")
	ok := len(parts) <= 4
	for _, p := range parts {
		_, err := parseDecimal(p, 32)
		ok = ok && err == nil
	}
	if !ok {
		return Errorf(CodeInvalidInput, "write one to four numbers with dots between, for example 10.4.1", "%q is not a version", clip(string(v)))
	}
	return nil
}

// Less compares valid versions by their numbers.
func (v Version) Less(w Version) bool { return slices.Compare(v.numbers(), w.numbers()) < 0 }

func (v Version) numbers() []uint64 {
	all := make([]uint64, 4)
	for i, p := range strings.Split(string(v), ".") {
		if i < len(all) {
			all[i], _ = strconv.ParseUint(p, 10, 32)
		}
	}
	return all
}

// AccessKind is what a rule of an access list looks at.
type AccessKind string

// The kinds of rules.
const (
	AccessUser        AccessKind = "user"        // the user's name, as the program states it; letter case is the same
	AccessHost        AccessKind = "host"        // the station's name, as the program states it; letter case is the same
	AccessSubnet      AccessKind = "subnet"      // the address that the request comes from: 10.1.0.0/16, or one address
	AccessApplication AccessKind = "application" // the program's name, as it states it
)

// AccessRule is one line of an access list, written "user:anna" or, to shut
// somebody out, "!user:anna". A denial wins over every permission; where there
// is a permission, only those may who have one.
type AccessRule struct {
	Deny  bool
	Kind  AccessKind
	Value string
}

func (r AccessRule) String() string {
	s := string(r.Kind) + ":" + r.Value
	if r.Deny {
		return "!" + s
	}
	return s
}

// ParseAccessRule reads what String writes. Error: CodeInvalidInput.
func ParseAccessRule(s string) (AccessRule, error) {
	var r AccessRule
	s, r.Deny = strings.CutPrefix(s, "!")
	kind, value, _ := strings.Cut(s, ":")
	r.Kind, r.Value = AccessKind(kind), value
	return r, r.Validate()
}

// Validate refuses unknown kinds, and values that are empty, too long, have
// control characters or are no subnet, with CodeInvalidInput.
func (r AccessRule) Validate() error {
	if r.valid() {
		return nil
	}
	return Errorf(CodeInvalidInput, "write user:NAME, host:NAME, subnet:10.1.0.0/16 or application:NAME, with ! before it to deny",
		"%q is not a rule of an access list", clip(r.String()))
}

func (r AccessRule) valid() bool {
	if r.Value == "" || len(r.Value) > MostAccessRule || !utf8.ValidString(r.Value) ||
		strings.ContainsFunc(r.Value, unicode.IsControl) || strings.TrimSpace(r.Value) != r.Value {
		return false
	}
	switch r.Kind {
	case AccessUser, AccessHost, AccessApplication:
		return true
	case AccessSubnet:
		_, ok := ParseSubnet(r.Value)
		return ok
	}
	return false
}

// ParseSubnet reads the addresses of an access rule: a prefix, or one address.
// It refuses what would match nothing: addresses are compared as IPv4 where they
// are IPv4 in IPv6.
func ParseSubnet(s string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	return p, !p.Addr().Is4In6() && p.Masked() == p
}

func (r AccessRule) matches(a Ask) bool {
	switch r.Kind {
	case AccessUser:
		return strings.EqualFold(r.Value, a.User)
	case AccessHost:
		return strings.EqualFold(r.Value, a.Host)
	case AccessApplication:
		return r.Value == a.Application
	case AccessSubnet:
		p, ok := ParseSubnet(r.Value)
		return ok && p.Contains(a.Address.Unmap().WithZone(""))
	}
	return false
}

// permits applies an access list.
func permits(list []AccessRule, a Ask) bool {
	needed, allowed := false, false
	for _, r := range list {
		m := r.matches(a)
		switch {
		case r.Deny && (m || (r.Kind == AccessSubnet && !a.Address.IsValid())):
			return false // from nowhere known: fail closed
		case !r.Deny:
			needed, allowed = true, allowed || m
		}
	}
	return allowed || !needed
}

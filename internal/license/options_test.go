package license

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func date(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

func rule(t *testing.T, s string) AccessRule {
	t.Helper()
	r, err := ParseAccessRule(s)
	if err != nil || r.String() != s {
		t.Fatalf("rule %q reads as %q, %v", s, r, err)
	}
	return r
}

func rules(t *testing.T, all ...string) (list []AccessRule) {
	t.Helper()
	for _, s := range all {
		list = append(list, rule(t, s))
	}
	return list
}

func coded(t *testing.T, what string, err error, want Code) {
	t.Helper()
	if CodeOf(err) != want {
		t.Errorf("%s: %v (code %q), want %q", what, err, CodeOf(err), want)
	}
	var e *Error
	if err != nil && (!errors.As(err, &e) || e.Fix == "" || e.Message == "") {
		t.Errorf("%s: %v has no message or no fix", what, err)
	}
}

func TestOptionsValidate(t *testing.T) {
	many := func(n int) (list []AccessRule) {
		for i := range n {
			list = append(list, AccessRule{Kind: AccessUser, Value: strings.Repeat("u", i+1)})
		}
		return list
	}
	last := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	for name, tt := range map[string]struct {
		o    Options
		good bool
	}{
		"nothing":                         {Options{}, true},
		"most of all":                     {Options{Quantity: 1<<32 - 1, UsagePeriod: MostUsage, Units: new(uint64(MostUnits)), Issue: 1<<32 - 1, FeatureMap: 1<<32 - 1, MinimumVersion: "4294967295.4294967295.4294967295.4294967295", Text: strings.Repeat("x", MostText), AccessList: many(MostAccessList), Linger: MostLinger}, true},
		"no units are left to take":       {Options{Units: new(uint64)}, true},
		"activation in a zone":            {Options{Activation: time.Unix(1, 0).In(time.FixedZone("", 3600))}, true},
		"activation of 1970":              {Options{Activation: time.Unix(1, 0)}, true},
		"activation of the epoch":         {Options{Activation: time.Unix(0, 0)}, false}, // reads as none
		"activation before 1970":          {Options{Activation: time.Unix(-1, 0)}, false},
		"activation with a fraction":      {Options{Activation: time.Unix(1, 1)}, false},
		"expiration in the last second":   {Options{Expiration: last}, true},
		"expiration after it":             {Options{Expiration: last.Add(time.Second)}, false},
		"one second":                      {Options{Activation: time.Unix(10, 0), Expiration: time.Unix(11, 0)}, true},
		"no second":                       {Options{Activation: time.Unix(10, 0), Expiration: time.Unix(10, 0)}, false},
		"one day of maintenance":          {Options{Maintenance: Maintenance{date(2026, 1, 1), date(2026, 1, 1)}}, true},
		"maintenance backwards":           {Options{Maintenance: Maintenance{date(2026, 1, 2), date(2026, 1, 1)}}, false},
		"maintenance with a fraction":     {Options{Maintenance: Maintenance{Until: time.Unix(1, 1)}}, false},
		"maintenance before 1970":         {Options{Maintenance: Maintenance{From: time.Unix(-1, 0)}}, false},
		"negative usage period":           {Options{UsagePeriod: -time.Second}, false},
		"usage period with a fraction":    {Options{UsagePeriod: time.Millisecond}, false},
		"usage period too long":           {Options{UsagePeriod: MostUsage + time.Second}, false},
		"usage period with a TMR-ID":      {Options{Quantity: 1, TMRID: 7, UsagePeriod: time.Hour}, false},
		"negative linger":                 {Options{Linger: -time.Second}, false},
		"linger with a fraction":          {Options{Linger: time.Second + 1}, false},
		"linger too long":                 {Options{Linger: MostLinger + time.Second}, false},
		"one unit too many":               {Options{Units: new(uint64(MostUnits + 1))}, false},
		"text too long":                   {Options{Text: strings.Repeat("x", MostText+1)}, false},
		"text that is no UTF-8":           {Options{Text: "\xff"}, false},
		"rules too many":                  {Options{AccessList: many(MostAccessList + 1)}, false},
		"a rule twice":                    {Options{AccessList: rules(t, "user:anna", "user:bert", "user:anna")}, false},
		"a rule and its opposite":         {Options{AccessList: rules(t, "user:anna", "!user:anna")}, true},
		"a rule that is none":             {Options{AccessList: []AccessRule{{Kind: "door", Value: "x"}}}, false},
		"version that is none":            {Options{MinimumVersion: "ten"}, false},
		"local only with a TMR-ID":        {Options{TMRID: 7}, false},
		"units and linger with a TMR-ID":  {Options{Quantity: 1, TMRID: 7, Units: new(uint64(1)), Linger: time.Second}, true},
		"quantity with a TMR-ID":          {Options{Quantity: 1, TMRID: 1<<32 - 1}, true},
		"data with names":                 {Options{Protected: DataName{1}, Secret: DataName{2}}, true},
		"local only with a usage period":  {Options{UsagePeriod: time.Second}, true},
		"expiration that is long over":    {Options{Expiration: time.Unix(1, 0)}, true},
		"maintenance without a beginning": {Options{Maintenance: Maintenance{Until: date(2026, 1, 1)}}, true},
	} {
		want := CodeInvalidInput
		if tt.good {
			want = ""
		}
		coded(t, name, tt.o.Validate(), want)
	}
}

// Each field counts in Equal; none is shared with a clone.
func TestOptionsEqualAndClone(t *testing.T) {
	full := func() Options {
		return Options{
			Quantity: 1, TMRID: 2, Activation: time.Unix(3, 0), Expiration: time.Unix(4, 0), UsagePeriod: 5, Units: new(uint64(6)),
			Issue: 7, FeatureMap: 8, Maintenance: Maintenance{time.Unix(9, 0), time.Unix(10, 0)}, MinimumVersion: "11", Text: "12",
			AccessList: []AccessRule{{Kind: AccessUser, Value: "13"}}, Linger: 14, Protected: DataName{15}, Secret: DataName{16},
		}
	}
	o := full()
	for i := range reflect.TypeFor[Options]().NumField() {
		name := reflect.TypeFor[Options]().Field(i).Name
		changed := full()
		f := reflect.ValueOf(&changed).Elem().Field(i)
		if f.IsZero() {
			t.Errorf("the test leaves %s out", name)
		}
		f.SetZero()
		if o.Equal(changed) || changed.Equal(o) {
			t.Errorf("%s does not count", name)
		}
	}
	local := full()
	local.Expiration = local.Expiration.In(time.FixedZone("", 7200))
	if !o.Equal(local) || !o.Equal(full()) {
		t.Error("equal options differ")
	}
	other := full()
	*other.Units++
	if o.Equal(other) {
		t.Error("other units are equal")
	}
	c := o.Clone()
	*c.Units, c.AccessList[0].Value = 99, "x"
	if !o.Equal(full()) {
		t.Error("a clone shares with its original")
	}
	if c := (Options{}).Clone(); c.Units != nil || c.AccessList != nil {
		t.Errorf("a clone of nothing is %+v", c)
	}
}

func TestTimeLimited(t *testing.T) {
	for name, tt := range map[string]struct {
		o    Options
		want bool
	}{
		"nothing":      {Options{Quantity: 1, Units: new(uint64(1)), Linger: time.Hour}, false},
		"maintenance":  {Options{Maintenance: Maintenance{Until: date(2026, 1, 1)}}, false}, // of the program, not of the license
		"activation":   {Options{Activation: time.Unix(1, 0)}, true},
		"expiration":   {Options{Expiration: time.Unix(1, 0)}, true},
		"usage period": {Options{UsagePeriod: time.Second}, true},
	} {
		if got := tt.o.TimeLimited(); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestVersions(t *testing.T) {
	for _, s := range []string{"", "0", "2", "10.4", "10.4.0.1178", "4294967295.0"} {
		coded(t, s, Version(s).Validate(), "")
	}
	for _, s := range []string{".", "1.", ".1", "1..2", "1.2.3.4.5", "v1", "1.2-rc1", "01", "1.02", "+1", "-1", " 1", "4294967296", "1,2", strings.Repeat("1.", 500)} {
		coded(t, s, Version(s).Validate(), CodeInvalidInput)
	}
	for _, tt := range []struct {
		v, w Version
		less bool
	}{
		{"1", "1", false}, {"1", "1.0.0.0", false}, {"1.0.0.0", "1", false}, {"1", "1.0.0.1", true},
		{"9", "10", true}, {"10", "9", false}, {"10.4", "10.10", true}, {"10.4.0.1178", "10.4", false}, {"", "0.0.0.1", true},
	} {
		if got := tt.v.Less(tt.w); got != tt.less {
			t.Errorf("%q before %q: %t", tt.v, tt.w, got)
		}
	}
}

func TestAccessRulesAreRead(t *testing.T) {
	for _, s := range []string{
		"user:anna", "!user:anna", "host:pc-1.example.com", "application:charts", "subnet:10.1.0.0/16", "!subnet:10.0.0.1",
		"subnet:2001:db8::/32", "subnet:::1", "subnet:0.0.0.0/0", "user:EXAMPLE\\anna", "user:a:b", "user:!x", "user:Zoë",
		"user:" + strings.Repeat("x", MostAccessRule),
	} {
		rule(t, s)
	}
	for _, s := range []string{
		"", "anna", "user:", "user", ":anna", "!!user:anna", "! user:anna", "door:1", "User:anna", "user: anna", "user:anna ", "user:a\nb", "user:\xff",
		"user:" + strings.Repeat("x", MostAccessRule+1), "subnet:10.1.2.3/16", "subnet:10.1.0.0/33", "subnet:10.1.0", "subnet:pc-1", "subnet:fe80::1%eth0",
		"subnet:fe80::%eth0/10", "subnet:10.1.0.0/", "subnet:/8",
		"subnet:::ffff:10.0.0.0/104", "subnet:::ffff:10.0.0.1", // would match nobody
	} {
		_, err := ParseAccessRule(s)
		coded(t, s, err, CodeInvalidInput)
	}
}

func TestAccessLists(t *testing.T) {
	from := func(s string) netip.Addr { return netip.MustParseAddr(s) }
	anna := Ask{User: "anna", Host: "pc-1", Application: "charts", Address: from("10.1.2.3")}
	for name, tt := range map[string]struct {
		list []string
		ask  Ask
		want bool
	}{
		"no list":                               {nil, Ask{}, true},
		"the user":                              {[]string{"user:anna"}, anna, true},
		"the user in other letters":             {[]string{"user:ANNA"}, anna, true},
		"another user":                          {[]string{"user:bert"}, anna, false},
		"a user is stated by nobody":            {[]string{"user:anna"}, Ask{}, false},
		"one of several":                        {[]string{"user:bert", "host:pc-1"}, anna, true},
		"denied":                                {[]string{"!user:anna"}, anna, false},
		"another one is denied":                 {[]string{"!user:bert"}, anna, true},
		"a denial wins, first":                  {[]string{"!user:anna", "host:pc-1"}, anna, false},
		"a denial wins, last":                   {[]string{"host:pc-1", "!user:anna"}, anna, false},
		"another one is denied, and nobody let": {[]string{"!user:bert", "host:pc-2"}, anna, false},
		"the host":                              {[]string{"host:PC-1"}, anna, true},
		"another host":                          {[]string{"host:pc-2"}, anna, false},
		"the program":                           {[]string{"application:charts"}, anna, true},
		"the program in other letters":          {[]string{"application:Charts"}, anna, false},
		"a subnet":                              {[]string{"subnet:10.1.0.0/16"}, anna, true},
		"another subnet":                        {[]string{"subnet:10.2.0.0/16"}, anna, false},
		"the address":                           {[]string{"subnet:10.1.2.3"}, anna, true},
		"another address":                       {[]string{"subnet:10.1.2.4"}, anna, false},
		"a denied subnet":                       {[]string{"!subnet:10.0.0.0/8"}, anna, false},
		"IPv4 in IPv6":                          {[]string{"!subnet:10.0.0.0/8"}, Ask{Address: from("::ffff:10.1.2.3")}, false},
		"IPv6":                                  {[]string{"subnet:2001:db8::/32"}, Ask{Address: from("2001:db8::7")}, true},
		"IPv6 with a zone":                      {[]string{"subnet:fe80::/10"}, Ask{Address: from("fe80::7%eth0")}, true},
		"IPv4 is not in all of IPv6":            {[]string{"subnet:::/0"}, anna, false},
		"from nowhere known":                    {[]string{"subnet:0.0.0.0/0"}, Ask{User: "anna"}, false},
		"from nowhere known, and a subnet denied": {[]string{"user:anna", "!subnet:10.2.0.0/16"}, Ask{User: "anna"}, false},
	} {
		l := License{Options: Options{Quantity: 1, AccessList: rules(t, tt.list...)}}
		want := CodeNotOnAccessList
		if tt.want {
			want = ""
		}
		coded(t, name, l.Explain(tt.ask, Use{}, Moment{At: date(2026, 1, 1)}).Err(), want)
		coded(t, name+", the list alone", l.Admits(tt.ask), want)
	}
}

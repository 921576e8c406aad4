package importer

import (
	"strconv"
	"strings"

	"github.com/quorate/quorate/internal/rules"
)

// elsewhere says of options that are no rules what stands for them here: the
// reason, and what to do.
func elsewhere(keyword string) (reason, fix string, ok bool) {
	switch keyword {
	case "TIMEOUT", "TIMEOUTALL":
		return "idle licenses are not taken back by themselves here", "quorate ls --handles shows who is idle; quorate ask and quorate release ask for a license and take it back", true
	case "LINGER":
		return "how long a released license stays with its user is an option of the item", "the vendor sets it: quorate item update ITEM --linger", true
	case "BORROW_LOWWATER", "BORROW", "MAX_BORROW_HOURS", "INCLUDE_BORROW", "EXCLUDE_BORROW", "INCLUDEALL_BORROW", "EXCLUDEALL_BORROW":
		return "rules don't tell borrowing apart", "quorate server --borrow-max says for how long licenses may be borrowed", true
	case "MAX_OVERDRAFT":
		return "there is no overdraft here", "order more licenses", true
	case "REPORTLOG", "DEBUGLOG", "NOLOG":
		return "it is about log files", "the usage history and the usage log are always kept: quorate usage", true
	case "AUTOMATIC_REREAD":
		return "a file of rules is always read again when it changes", "", true
	case "GROUPCASEINSENSITIVE":
		return "names of users and computers are compared without letter case, always", "", true
	case "INCLUDE_ENTITLEMENT", "EXCLUDE_ENTITLEMENT", "INCLUDEALL_ENTITLEMENT", "EXCLUDEALL_ENTITLEMENT":
		return "there are no fulfilments to name here", "", true
	case "DAEMON_SELECT_TIMEOUT", "FQDN_MATCHING", "ACTIVATION_EXPIRY_DAYS", "ACTIVATION_LOWWATER", "EXCLUDE_BINDING", "WINDOWS_SERVICE", "COMMUNICATION_TRANSPORT", "LOCKOUT", "MAX_CONNECTIONS", "SUPERSEDE", "PURGE":
		return "it is about how FlexNet itself runs", "", true
	}
	return "", "", false
}

// rule reads one option.
func (f *flexnet) rule(l optionLine) {
	if l.fault != "" {
		f.add(l.number, l.text, true, "", "%s", l.fault)
		return
	}
	keyword := strings.ToUpper(l.words[0])
	switch keyword {
	case "GROUP", "HOST_GROUP":
		return // read before
	case "INCLUDE", "EXCLUDE":
		f.about(l, keyword, l.words[1:], 0)
	case "INCLUDEALL", "EXCLUDEALL":
		f.everything(l, keyword)
	case "RESERVE", "MAX":
		f.counted(l, keyword)
	default:
		if reason, fix, ok := elsewhere(keyword); ok {
			f.add(l.number, l.text, !harmless(l, keyword), fix, "%s", reason)
			return
		}
		f.add(l.number, l.text, true, "", "%q is not known here", shown(l.words[0]))
	}
}

// harmless says whether an option asks for what is so anyway.
func harmless(l optionLine, keyword string) bool {
	switch keyword {
	case "AUTOMATIC_REREAD", "GROUPCASEINSENSITIVE":
		return len(l.words) == 2 && strings.EqualFold(l.words[1], "ON")
	}
	return false
}

// counted reads RESERVE and MAX: a number comes first.
func (f *flexnet) counted(l optionLine, keyword string) {
	if len(l.words) < 2 {
		f.add(l.number, l.text, true, "", "a number has to stand behind %s", keyword)
		return
	}
	n, err := strconv.ParseUint(l.words[1], 10, 32)
	if err != nil || n > mostNumber {
		f.add(l.number, l.text, true, "", "%q is no number up to %d", shown(l.words[1]), mostNumber)
		return
	}
	f.about(l, keyword, l.words[2:], n)
}

// about reads FEATURE TYPE NAME.
func (f *flexnet) about(l optionLine, keyword string, words []string, n uint64) {
	if len(words) != 3 {
		f.add(l.number, l.text, true, "", "a feature, a type and a name have to stand behind it")
		return
	}
	scope, why, fix := f.scope(words[0])
	if why != "" {
		f.add(l.number, l.text, true, fix, "%s", why)
		return
	}
	who, why := f.who(words[1:])
	if why != "" {
		f.add(l.number, l.text, true, "", "%s", why)
		return
	}
	f.take(l, keyword, &flexRule{line: l.number, verb: verbOf(keyword), number: n, rest: who + " " + scope})
}

func (f *flexnet) everything(l optionLine, keyword string) {
	who, why := f.who(l.words[1:])
	if why != "" {
		f.add(l.number, l.text, true, "", "%s", why)
		return
	}
	f.take(l, keyword, &flexRule{line: l.number, verb: verbOf(keyword), rest: who})
}

func verbOf(keyword string) string {
	switch keyword {
	case "INCLUDE", "INCLUDEALL":
		return "allow"
	case "EXCLUDE", "EXCLUDEALL":
		return "deny"
	case "RESERVE":
		return "reserve"
	}
	return "cap"
}

// take keeps a rule, unless it was said already.
func (f *flexnet) take(l optionLine, keyword string, r *flexRule) {
	about := r.verb + " " + r.rest
	old := f.said[about]
	switch {
	case old == nil:
	case r.verb == "reserve" && old.number+r.number <= mostNumber: // there they add up
		old.number += r.number
		f.add(l.number, l.text, false, "", "it is one rule with line %d, of %d licenses", old.line, old.number)
		return
	case r.verb == "cap" && old.number != r.number:
		f.add(l.number, l.text, true, "keep one of them", "line %d has another number for the same", old.line)
		return
	case r.verb == "reserve":
		f.add(l.number, l.text, true, "keep one of them", "with line %d it would reserve too many", old.line)
		return
	default:
		f.add(l.number, l.text, false, "", "line %d says the same", old.line)
		return
	}
	if len(f.rules) >= rules.MostRules {
		f.add(l.number, l.text, true, "use groups in place of single names", "there can be %d rules", rules.MostRules)
		return
	}
	if r.verb == "reserve" {
		scope := r.rest[strings.LastIndex(r.rest, " ")+1:]
		if f.reserved[scope] >= rules.MostReservations {
			f.add(l.number, l.text, true, "use groups in place of single names", "of one product %d reservations can be", rules.MostReservations)
			return
		}
		f.reserved[scope]++
	}
	if f.has == nil {
		f.has = map[string]int{}
	}
	if f.has[keyword] == 0 {
		f.has[keyword] = l.number
	}
	f.said[about] = r
	f.rules = append(f.rules, r)
}

// differences tells where the rules decide in another way than FlexNet does,
// though each of them was taken over.
func (f *flexnet) differences() {
	first := func(keywords ...string) int {
		for _, k := range keywords {
			if f.has[k] > 0 {
				return f.has[k]
			}
		}
		return 0
	}
	allow, deny := first("INCLUDE", "INCLUDEALL"), first("EXCLUDE", "EXCLUDEALL")
	if allow > 0 && deny > 0 {
		f.add(max(allow, deny), "INCLUDE and EXCLUDE", false, "quorate rules test FILE --user NAME tells who may",
			"there EXCLUDE comes first, whoever it names; here the more specific rule decides, and deny at a tie")
	}
	if all, one := f.has["INCLUDEALL"], f.has["INCLUDE"]; all > 0 && one > 0 {
		f.add(max(all, one), "INCLUDEALL and INCLUDE", false, "write the rules for all licenses again for the product, if they are to hold there, too",
			"the list of a product decides alone here: who stands on the list for all licenses only is not on it")
	}
	for _, g := range f.ours {
		if len(g.members) == 0 {
			f.add(g.line, "group "+g.name, true, "", "none of its members could be taken over")
		}
	}
	f.ours = kept(f.ours)
}

func kept(all []*group) (out []*group) {
	for _, g := range all {
		if len(g.members) > 0 {
			out = append(out, g)
		}
	}
	return out
}

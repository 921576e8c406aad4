package importer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// resource is an object of JSON:API, as keygen exports it.
type resource struct {
	Type          string         `json:"type"`
	ID            string         `json:"id"`
	Attributes    map[string]any `json:"attributes"`
	Relationships map[string]struct {
		Data json.RawMessage `json:"data"`
	} `json:"relationships"`
}

type reference struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// to gives the one resource that a relationship names.
func (r resource) to(names ...string) (reference, bool) {
	for _, n := range names {
		var to reference
		if json.Unmarshal(r.Relationships[n].Data, &to) == nil && to.ID != "" {
			return to, true
		}
	}
	return reference{}, false
}

func (r resource) text(names ...string) string {
	for _, n := range names {
		if s, ok := r.Attributes[n].(string); ok && strings.TrimSpace(s) != "" {
			return strings.TrimSpace(s)
		}
	}
	return ""
}

// number gives a whole number; ok is false where it is another thing, there
// tells whether there is any.
func (r resource) number(name string) (n uint64, there, ok bool) {
	v := r.Attributes[name]
	if v == nil {
		return 0, false, true
	}
	j, is := v.(json.Number)
	if !is {
		return 0, true, false
	}
	i, err := j.Int64()
	return uint64(max(i, 0)), true, err == nil && i >= 0
}

// ParseKeygen reads exports from keygen: the answers of GET licenses, users,
// groups, policies and products, a page or several in a file, in any order.
// products says which product each one of keygen's is here, by its id, code or
// name. Error: a file is no such export, or they are too large.
func ParseKeygen(files [][]byte, products map[string]license.Product) (Plan, error) {
	k := &keygen{plan: newPlan(), products: products, known: map[reference]resource{}, owners: map[string]reference{}, pages: map[string]bool{}}
	k.said = []string{"expiration", "units"}
	size := 0
	for _, file := range files {
		if size += len(file); size > MostExport {
			return Plan{}, license.Errorf(license.CodeTooLarge, "take them in parts", "the files have more than %d bytes", MostExport)
		}
		if err := k.read(file); err != nil {
			return Plan{}, err
		}
	}
	k.whole()
	for _, r := range k.licenses {
		k.license(r)
	}
	return k.done()
}

func noExport(cause error) error {
	return &license.Error{Code: license.CodeInvalidInput, Err: cause, Message: "the file is no export from keygen",
		Fix: "save the answers of GET /v1/accounts/ACCOUNT/licenses, and of users, groups, policies and products"}
}

// read takes what a file has.
func (k *keygen) read(file []byte) error {
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(file, []byte("\ufeff"))))
	dec.UseNumber()
	for n := 0; ; n++ {
		var doc struct {
			Data     []resource `json:"data"`
			Included []resource `json:"included"`
			Links    struct {
				Self *string `json:"self"`
				Next *string `json:"next"`
			} `json:"links"`
		}
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) && n > 0 {
			return nil
		}
		if err != nil || doc.Data == nil {
			return noExport(err)
		}
		if l := doc.Links; l.Self != nil {
			k.pages[*l.Self] = true
		} else if n := len(doc.Data); n > 0 && n%keygenPage == 0 {
			k.cut = append(k.cut, fmt.Sprintf("%d %s", n, doc.Data[0].Type))
		}
		if next := doc.Links.Next; next != nil && *next != "" && len(doc.Data) > 0 {
			k.next = append(k.next, *next)
		}
		for _, r := range slices.Concat(doc.Included, doc.Data) {
			switch r.Type {
			case "licenses":
				k.licenses = append(k.licenses, r)
			case "users", "groups", "policies", "products":
				k.known[reference{r.Type, r.ID}] = r
			default:
				k.same(r.Type+" "+r.ID, true, "", "it is no license, nor whose, or of what, a license is")
			}
		}
		if most := max(len(k.licenses), len(k.known)); most > MostLines {
			return license.Errorf(license.CodeTooLarge, "take them in parts", "there are more than %d licenses", MostLines)
		}
		if err := k.checked(); err != nil {
			return err
		}
	}
}

// keygenPage is of what keygen's pages without links have a multiple: 10 where
// nothing else is asked for, 100 at most.
const keygenPage = 10

// whole tells what of a list may be missing.
func (k *keygen) whole() {
	for _, next := range k.next {
		if !k.pages[next] {
			k.add(0, "a page", false, "import all pages together", "another page follows it: %s", shown(next))
		}
	}
	for _, list := range k.cut {
		k.add(0, list, false, "ask for page[number]=1&page[size]=100, and then for the next ones", "there may be more: without page[number], keygen gives at most 100 and doesn't tell")
	}
}

type keygen struct {
	*plan
	products map[string]license.Product
	known    map[reference]resource
	owners   map[string]reference // by their names

	licenses []resource
	pages    map[string]bool // by the links to themselves
	next     []string        // links to the pages that follow
	cut      []string        // lists that may go on
}

// license makes an order of a license, with its customer and item.
func (k *keygen) license(r resource) {
	what := "license " + cmp.Or(r.text("name"), r.ID)
	leave := func(fix, format string, args ...any) { k.add(0, what, true, fix, format, args...) }
	if r.ID == "" || len(r.ID) > mostKey-len("keygen:") {
		leave("", "it has no id, or too long a one")
		return
	}
	if k.keys[r.ID]++; k.keys[r.ID] > 1 {
		leave("", "its id was there before")
		return
	}
	if status := strings.ToUpper(r.text("status")); status == "BANNED" || status == "SUSPENDED" || status == "EXPIRED" || r.Attributes["suspended"] == true {
		k.same(what, true, "", "it is "+strings.ToLower(cmp.Or(status, "suspended")))
		return
	}
	product, ok := k.product(r)
	if !ok {
		to, _ := r.to("product")
		k.same(what, true, "say it with --product ID=FIRM:PRODUCT; by code or name where the products' export is given, too",
			fmt.Sprintf("it is not known which product %q is", shown(cmp.Or(k.known[to].text("name", "code"), to.ID))))
		return
	}
	customer, owner := k.owner(r)
	if why := nameProblem(customer); why != "" {
		switch _, there := k.known[owner]; {
		case owner.ID == "":
			k.same(what, true, "give it an owner or a group in keygen", "it belongs to nobody")
		case !there:
			k.same(what, true, "give the export of the "+shown(owner.Type)+", too", "its owner is in none of the files")
		default:
			leave("give its owner another name in keygen", "its customer's name can't be taken: %s", why)
		}
		return
	}
	if first, there := k.owners[customer]; there && first != owner {
		leave("give one of them another name", "another owner of licenses is called %q, too", shown(customer))
		return
	}
	item, ok := k.itemOf(r, product, what)
	if !ok {
		return
	}
	quantity, there, fine := r.number("maxMachines")
	if !fine || quantity > mostNumber {
		leave("", "its maxMachines is no number up to %d", mostNumber)
		return
	}
	if !there || quantity == 0 {
		quantity = 1
		k.same(what, false, "order more, if it is to be used by several at a time", "it has no maxMachines: one license is ordered")
	}
	if k.item(item) {
		leave("give its policy another name", "the item %q is there with other options", item.Name)
		return
	}
	k.owners[customer] = owner
	k.customer(customer, 0)
	k.Orders = append(k.Orders, Order{Key: "keygen:" + r.ID, Customer: customer, Product: product.String(), Item: item.Name, Quantity: uint32(quantity), Reference: "keygen " + r.ID})
	k.lost(r, what)
}

func (k *keygen) product(r resource) (license.Product, bool) {
	to, _ := r.to("product")
	named := k.known[to]
	for _, name := range []string{to.ID, named.text("code"), named.text("name")} {
		if p, ok := k.products[name]; ok && name != "" {
			return p, true
		}
	}
	return license.Product{}, false
}

// owner names who has a license.
func (k *keygen) owner(r resource) (string, reference) {
	to, ok := r.to("owner", "user", "group")
	if !ok {
		return "", to
	}
	u := k.known[to]
	full := strings.TrimSpace(u.text("firstName") + " " + u.text("lastName"))
	return cmp.Or(u.text("fullName", "name"), full, u.text("email")), to
}

// itemOf makes the item of a license: one for each policy, and for each time of
// expiration.
func (k *keygen) itemOf(r resource, product license.Product, what string) (Item, bool) {
	to, _ := r.to("policy")
	policy := k.known[to]
	i := Item{Product: product.String(), Name: cmp.Or(policy.text("name"), "Policy "+cmp.Or(to.ID, "none")), Quantity: 1}
	if _, named := k.known[to]; !named && to.ID != "" {
		k.same(what, false, "give the export of the policies, too", "its policy is in none of the files, and its item is called by the policy's id")
	}
	if s := r.text("expiry"); s != "" {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			k.add(0, what, true, "", "its expiry %q is no time", shown(s))
			return i, false
		}
		i.Expiration = at.UTC().Truncate(time.Second)
		i.Name += ", until " + i.Expiration.Format(time.RFC3339)
	}
	if why := nameProblem(i.Name); why != "" {
		k.add(0, what, true, "give its policy a shorter name", "its policy's name can't name an item: %s", why)
		return i, false
	}
	uses, there, ok := r.number("maxUses")
	switch {
	case !ok || uses > license.MostUnits:
		k.add(0, what, true, "", "its maxUses can't be counted here")
		return i, false
	case there:
		i.Units = &uses
		i.Name = fmt.Sprintf("%s, %d units", i.Name, uses)
	}
	return i, true
}

// lost tells what of a license has no place here.
func (k *keygen) lost(r resource, what string) {
	if used, there, _ := r.number("uses"); there && used > 0 {
		k.add(0, what, false, "make an item with the units that are left", "%d of its uses are gone, and it gets all of them again", used)
	}
	for _, f := range []struct{ name, reason string }{
		{"key", "license keys are not taken over: the customer gets a ticket instead"},
		{"maxProcesses", "processes are not counted apart"},
		{"maxUsers", "users are not counted apart"},
		{"maxCores", "cores are not counted"},
		{"maxMemory", "memory is not counted"},
		{"maxDisk", "disks are not counted"},
	} {
		if v := r.Attributes[f.name]; v != nil && v != "" {
			k.same(what, false, "", f.name+": "+f.reason)
		}
	}
	if m, ok := r.Attributes["metadata"].(map[string]any); ok && len(m) > 0 {
		k.same(what, false, "", "its metadata is not taken over: "+shown(strings.Join(slices.Sorted(maps.Keys(m)), ", ")))
	}
	var list []reference
	if json.Unmarshal(r.Relationships["entitlements"].Data, &list) == nil && len(list) > 0 {
		k.add(0, what, false, "set the item's feature map", "its %d entitlements are not taken over", len(list))
	}
}

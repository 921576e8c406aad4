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

// ParseKeygen reads an export of licenses from keygen: JSON:API with licenses in
// data, and their users, policies and products in included (ask for
// include=user,owner,policy,product). products says which product each one of
// keygen's is here, by its id, code or name. Error: the file is no such export,
// or too large.
func ParseKeygen(file []byte, products map[string]license.Product) (Plan, error) {
	if len(file) > MostBytes {
		return Plan{}, license.Errorf(license.CodeTooLarge, "take it in parts", "the file has %d bytes, and %d are the most", len(file), MostBytes)
	}
	var doc struct {
		Data     []resource `json:"data"`
		Included []resource `json:"included"`
		Links    struct {
			Next *string `json:"next"`
		} `json:"links"`
	}
	dec := json.NewDecoder(bytes.NewReader(file))
	dec.UseNumber()
	err := dec.Decode(&doc)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	if err != nil || doc.Data == nil {
		return Plan{}, &license.Error{Code: license.CodeInvalidInput, Err: err, Message: "the file is no export of licenses from keygen",
			Fix: "save the answer of GET /v1/accounts/ACCOUNT/licenses?include=user,owner,policy,product"}
	}
	if len(doc.Data) > MostLines {
		return Plan{}, license.Errorf(license.CodeTooLarge, "take it in parts", "the file has %d licenses, and %d are the most", len(doc.Data), MostLines)
	}
	k := &keygen{plan: newPlan(), products: products, known: map[reference]resource{}, owners: map[string]reference{}}
	if next := doc.Links.Next; next != nil && *next != "" {
		k.add(0, "the file", false, "import the others, too", "it is one page of several")
	}
	k.said = []string{"expiration", "units"}
	for _, r := range doc.Included {
		k.known[reference{r.Type, r.ID}] = r
	}
	for _, r := range doc.Data {
		if r.Type != "licenses" {
			k.add(0, r.Type+" "+r.ID, true, "", "it is no license")
			continue
		}
		k.license(r)
	}
	return k.done()
}

type keygen struct {
	*plan
	products map[string]license.Product
	known    map[reference]resource
	owners   map[string]reference // by their names
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
		leave("", "it is %s", strings.ToLower(cmp.Or(status, "suspended")))
		return
	}
	product, ok := k.product(r)
	if !ok {
		to, _ := r.to("product")
		leave("say it with --product ID=FIRM:PRODUCT", "it is not known which product %q is", shown(cmp.Or(k.known[to].text("name", "code"), to.ID)))
		return
	}
	customer, owner := k.owner(r)
	if why := nameProblem(customer); why != "" {
		leave("give its user a name or an e-mail address, and export with include=user,owner", "its customer has no name: %s", why)
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
		k.add(0, what, false, "order more, if it is to be used by several at a time", "it has no maxMachines: one license is ordered")
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
	} {
		if v := r.Attributes[f.name]; v != nil && v != "" {
			k.add(0, what, false, "", "%s: %s", f.name, f.reason)
		}
	}
	if m, ok := r.Attributes["metadata"].(map[string]any); ok && len(m) > 0 {
		k.add(0, what, false, "", "its metadata is not taken over: %s", shown(strings.Join(slices.Sorted(maps.Keys(m)), ", ")))
	}
	var list []reference
	if json.Unmarshal(r.Relationships["entitlements"].Data, &list) == nil && len(list) > 0 {
		k.add(0, what, false, "set the item's feature map", "its %d entitlements are not taken over", len(list))
	}
}

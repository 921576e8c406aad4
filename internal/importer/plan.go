package importer

import "time"

// Plan is what there is to be at the platform. Names tell customers and items
// apart: the same one twice is the same customer or item.
type Plan struct {
	Customers []Customer `json:"customers"`
	Items     []Item     `json:"items"`
	Orders    []Order    `json:"orders"`
	Problems  []Problem  `json:"problems"`
	// said are the options of items that the file says anything of.
	said []string
}

// Things counts what the plan has.
func (p Plan) Things() int { return len(p.Customers) + len(p.Items) + len(p.Orders) }

// Customer is an organization that has licenses.
type Customer struct {
	Name string `json:"name"`
	// Line is where the file first names it; 0 in JSON.
	Line int `json:"line,omitempty"`
}

// Item is a license definition. Zero values mean what is left out.
type Item struct {
	Product          string    `json:"product"` // such as 6000010:14
	Name             string    `json:"name"`
	Quantity         uint32    `json:"quantity"`
	TMR              bool      `json:"tmr,omitempty"`
	Activation       time.Time `json:"activation,omitzero"`
	Expiration       time.Time `json:"expiration,omitzero"`
	UsagePeriod      int64     `json:"usagePeriod,omitempty"` // seconds
	Units            *uint64   `json:"units,omitempty"`
	Features         uint32    `json:"features,omitempty"`
	MaintenanceFrom  time.Time `json:"maintenanceFrom,omitzero"`
	MaintenanceUntil time.Time `json:"maintenanceUntil,omitzero"`
	MinimumVersion   string    `json:"minimumVersion,omitempty"`
	Text             string    `json:"text,omitempty"`
	Linger           int64     `json:"linger,omitempty"` // seconds
	Line             int       `json:"line,omitempty"`
}

// Order is licenses of an item for a customer.
type Order struct {
	// Key tells orders apart: the same file gives the same keys.
	Key      string `json:"key"`
	Customer string `json:"customer"`
	Product  string `json:"product"`
	Item     string `json:"item"`
	Quantity uint32 `json:"quantity"`
	// Place is a container or a TMR group; empty: a ticket, which the customer
	// activates where he wants to.
	Place string `json:"place,omitempty"`
	// Reference is its number in the vendor's books.
	Reference string `json:"reference,omitempty"`
	Line      int    `json:"line,omitempty"`
}

// plan collects what goes into a Plan, each customer and item once.
type plan struct {
	problems
	Plan
	customers map[string]bool
	items     map[itemKey]Item
	keys      map[string]int
}

type itemKey struct {
	product, name string
}

func newPlan() *plan {
	return &plan{Plan: Plan{Customers: []Customer{}, Items: []Item{}, Orders: []Order{}}, customers: map[string]bool{}, items: map[itemKey]Item{}, keys: map[string]int{}}
}

func (p *plan) customer(name string, line int) {
	if !p.customers[name] {
		p.customers[name] = true
		p.Customers = append(p.Customers, Customer{Name: name, Line: line})
	}
}

// item keeps an item, and says whether another one of its name is there.
func (p *plan) item(i Item) (clash bool) {
	k, line := itemKey{i.Product, i.Name}, i.Line
	if old, ok := p.items[k]; ok {
		i.Line = old.Line
		return !same(old, i)
	}
	i.Line = line
	p.items[k] = i
	p.Items = append(p.Items, i)
	return false
}

func same(a, b Item) bool {
	units := a.Units == b.Units || a.Units != nil && b.Units != nil && *a.Units == *b.Units
	a.Units, b.Units = nil, nil
	return units && a == b
}

func (p *plan) done() (Plan, error) {
	if err := p.checked(); err != nil {
		return Plan{}, err
	}
	p.Problems = append([]Problem{}, p.all...)
	return p.Plan, nil
}

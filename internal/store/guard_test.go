package store_test

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/tmrgroup"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/store"
)

// who may do what with the rows of a world.
type who int

const (
	nobody who = iota
	reads
	changes
)

// owners lists every entity: what the vendor's customer may do with a world's
// rows. The vendor may change all but those of the platform itself.
var owners = map[string]struct {
	global   bool
	customer who
}{
	ent.TypeOrganization: {customer: nobody}, // the row in the world is the vendor's
	ent.TypeMember:       {customer: nobody},
	ent.TypeApiToken:     {customer: nobody},
	ent.TypeAuditEntry:   {customer: nobody},
	ent.TypeSession:      {global: true},
	ent.TypePlatformKey:  {global: true},
	ent.TypeFirm:         {customer: reads},
	ent.TypeFirmKey:      {customer: reads},
	ent.TypeProduct:      {customer: reads},
	ent.TypeItem:         {customer: reads},
	ent.TypeItemVersion:  {customer: nobody}, // the vendor's alone
	ent.TypeUser:         {global: true}, ent.TypeUserIdentity: {global: true},
	ent.TypeMemberGroup: {customer: nobody}, ent.TypeMemberGroupEntry: {customer: nobody}, ent.TypeInvitation: {customer: nobody},
	ent.TypeIdentityProvider: {customer: nobody}, ent.TypeIdempotencyKey: {customer: nobody},
	ent.TypeWebhookEndpoint: {customer: nobody}, ent.TypeWebhookEvent: {customer: nobody}, ent.TypeWebhookDelivery: {customer: nobody},
	ent.TypeTicket: {customer: changes}, ent.TypeTicketLine: {customer: changes}, ent.TypeTicketActivation: {customer: changes},
	ent.TypeEnrollment: {customer: changes}, ent.TypeRolloutPlan: {customer: changes}, ent.TypeRolloutPlanEntry: {customer: changes},
	ent.TypeContainer:   {customer: changes},
	ent.TypeFirmCounter: {customer: changes},
	ent.TypeTmrGroup:    {customer: changes},
	ent.TypeTmrView:     {customer: changes},
	ent.TypeTmrServer:   {customer: changes},
	ent.TypeAllocation:  {customer: changes},
	ent.TypeDenial:      {customer: changes},
	ent.TypeOrder:       {customer: changes},
	ent.TypeRollout:     {customer: changes},
	ent.TypeUpdate:      {customer: changes},
	ent.TypeWork:        {customer: changes},
	ent.TypeTransfer:    {customer: changes},
	ent.TypeRuleSet:     {customer: changes},
	ent.TypeUsageSeries: {customer: changes},
	ent.TypeUsageBucket: {customer: changes},
	ent.TypeUsageLog:    {customer: nobody},
	ent.TypeUsageEntry:  {customer: nobody},
	ent.TypeUsageKept:   {global: true},
}

// entity calls the generated client of one entity.
type entity struct {
	name   string
	client reflect.Value
}

func entities(c *ent.Client) []entity {
	var all []entity
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		name, ok := strings.CutSuffix(v.Type().Field(i).Type.String(), "Client")
		if ok && v.Type().Field(i).IsExported() && strings.HasPrefix(name, "*ent.") {
			all = append(all, entity{strings.TrimPrefix(name, "*ent."), v.Field(i)})
		}
	}
	return all
}

func call(v reflect.Value, method string, args ...any) []reflect.Value {
	in := make([]reflect.Value, len(args))
	for i, a := range args {
		in[i] = reflect.ValueOf(a)
	}
	return v.MethodByName(method).Call(in)
}

func result(out []reflect.Value) error {
	err, _ := out[len(out)-1].Interface().(error)
	return err
}

func (e entity) all(ctx context.Context) (int, error) {
	out := call(call(e.client, "Query")[0], "All", ctx)
	return out[0].Len(), result(out)
}

func (e entity) count(ctx context.Context) (int, error) {
	out := call(call(e.client, "Query")[0], "Count", ctx)
	return int(out[0].Int()), result(out)
}

func (e entity) get(ctx context.Context, id string) error {
	return result(call(e.client, "Get", ctx, id))
}

// column is one that may change, and a value for it; entities without one are
// only ever added to.
func (e entity) column() (string, any, bool) {
	switch e.name {
	case ent.TypeAuditEntry, ent.TypeTmrView, ent.TypeDenial, ent.TypeUsageEntry, ent.TypeRuleSet,
		ent.TypeIdempotencyKey, ent.TypeItemVersion, ent.TypeWebhookEvent, ent.TypeMemberGroupEntry, ent.TypeUserIdentity:
		return "", nil, false
	case ent.TypeFirmCounter:
		return "counter", uint64(2), true
	case ent.TypeUsageSeries, ent.TypeUsageBucket:
		return "taken", int64(2), true
	case ent.TypeUsageKept:
		return "since", time.Unix(1, 0).UTC(), true
	case ent.TypeUsageLog:
		return "number", uint64(2), true
	case ent.TypeAllocation:
		return "user", "x", true
	case ent.TypeUpdate:
		return "tmr_id", 8, true
	case ent.TypeContainer:
		return "manipulation_suspected", false, true
	case ent.TypeOrder:
		return "rollout_id", nil, true // cleared
	case ent.TypeRollout:
		return "blocker", "x", true
	case ent.TypeWork:
		return "error_code", "x", true
	case ent.TypeInvitation, ent.TypeEnrollment:
		return "revoked_at", time.Unix(1, 0).UTC(), true
	case ent.TypeTicket, ent.TypeRolloutPlanEntry:
		return "note", "x", true
	case ent.TypeTicketLine:
		return "activated", 1, true
	case ent.TypeTicketActivation:
		return "returned", 1, true
	case ent.TypeWebhookEndpoint:
		return "description", "x", true
	case ent.TypeWebhookDelivery:
		return "attempt", 1, true
	case ent.TypeTransfer:
		return "note", "x", true
	case ent.TypeSession:
		return "data", []byte{2}, true
	case ent.TypePlatformKey:
		return "sealed", []byte{2}, true
	case ent.TypeFirmKey:
		return "retired_at", time.Unix(1, 0).UTC(), true
	}
	return "name", "x " + e.name, true
}

func (e entity) change(builder reflect.Value) reflect.Value {
	name, value, _ := e.column()
	m := call(builder, "Mutation")[0].Interface().(ent.Mutation)
	if value == nil {
		_ = m.ClearField(name)
	} else if err := m.SetField(name, value); err != nil {
		panic(err)
	}
	return builder
}

func (e entity) update(ctx context.Context, id string) error {
	return result(call(e.change(call(e.client, "UpdateOneID", id)[0]), "Save", ctx))
}

func (e entity) updateAll(ctx context.Context) (int, error) {
	out := call(e.change(call(e.client, "Update")[0]), "Save", ctx)
	return int(out[0].Int()), result(out)
}

func (e entity) delete(ctx context.Context, id string) error {
	return result(call(call(e.client, "DeleteOneID", id)[0], "Exec", ctx))
}

func (e entity) deleteAll(ctx context.Context) (int, error) {
	out := call(call(e.client, "Delete")[0], "Exec", ctx)
	return int(out[0].Int()), result(out)
}

func TestEveryEntityIsListed(t *testing.T) {
	s := open(t, t.TempDir()+"/db")
	found := entities(s.Client())
	for _, e := range found {
		if _, ok := owners[e.name]; !ok {
			t.Errorf("%s: say whose it is, here and in guard.go", e.name)
		}
	}
	if len(found) != len(owners) {
		t.Errorf("%d entities, %d listed", len(found), len(owners))
	}
}

// TestIsolation: of every entity another tenant sees nothing and changes
// nothing; the customer sees and changes what is his; without a principal
// nothing works; the system sees all.
func TestIsolation(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		a, b := build(t, s, 0), build(t, s, 1)
		for _, e := range entities(s.Client()) {
			t.Run(e.name, func(t *testing.T) {
				rule, id := owners[e.name], a.ids[e.name]
				if id == "" {
					t.Fatal("the world has no such row")
				}
				if n, err := e.all(system(t)); err != nil || n < 2 {
					t.Fatalf("the system sees %d rows, %v", n, err)
				}
				refused(t, e, t.Context(), id, license.CodeUnauthenticated)
				incomplete := auth.With(t.Context(), auth.Principal{Kind: auth.KindMember, ID: "mem_x"})
				refused(t, e, incomplete, id, license.CodeUnauthenticated)
				if rule.global {
					refused(t, e, member(t, a.vendor), id, license.CodeForbidden)
					return
				}
				for _, stranger := range []*ent.Organization{b.vendor, b.customer} {
					invisible(t, e, member(t, stranger), id)
					unchangeable(t, e, member(t, stranger), id)
				}
				if err := e.get(member(t, a.vendor), id); err != nil {
					t.Errorf("the vendor: %v", err)
				}
				_, _, changing := e.column()
				if changing {
					if err := e.update(member(t, a.vendor), id); err != nil {
						t.Errorf("the vendor: %v", err)
					}
				}
				customer := member(t, a.customer)
				switch rule.customer {
				case nobody:
					invisible(t, e, customer, id)
					unchangeable(t, e, customer, id)
				case reads:
					if err := e.get(customer, id); err != nil {
						t.Errorf("the customer: %v", err)
					}
					unchangeable(t, e, customer, id)
				case changes:
					if err := e.get(customer, id); err != nil {
						t.Errorf("the customer: %v", err)
					}
					if changing {
						if err := e.update(customer, id); err != nil {
							t.Errorf("the customer: %v", err)
						}
					}
				}
			})
		}
	})
}

func refused(t *testing.T, e entity, ctx context.Context, id string, code license.Code) {
	t.Helper()
	_, all := e.all(ctx)
	_, count := e.count(ctx)
	_, deleteAll := e.deleteAll(ctx)
	errs := map[string]error{
		"all": all, "count": count, "get": e.get(ctx, id), "delete": e.delete(ctx, id), "delete all": deleteAll,
	}
	if _, _, ok := e.column(); ok {
		errs["update"] = e.update(ctx, id)
		_, errs["update all"] = e.updateAll(ctx)
	}
	for what, err := range errs {
		if license.CodeOf(err) != code {
			t.Errorf("%s: %v instead of %s", what, err, code)
		}
	}
}

func invisible(t *testing.T, e entity, ctx context.Context, id string) {
	t.Helper()
	own := 0 // a stranger has the rows of his own world
	if n, err := e.all(ctx); err != nil {
		t.Errorf("all: %v", err)
	} else {
		own = n
	}
	if n, err := e.count(ctx); err != nil || n != own {
		t.Errorf("count: %d, %v instead of %d", n, err, own)
	}
	out := call(call(e.client, "Query")[0], "All", ctx)
	for i := range out[0].Len() {
		if out[0].Index(i).Elem().FieldByName("ID").String() == id {
			t.Error("a foreign row is listed")
		}
	}
	if err := e.get(ctx, id); !ent.IsNotFound(err) {
		t.Errorf("get: %v", err)
	}
}

func unchangeable(t *testing.T, e entity, ctx context.Context, id string) {
	t.Helper()
	if _, _, ok := e.column(); ok {
		if err := e.update(ctx, id); !ent.IsNotFound(err) {
			t.Errorf("update: %v", err)
		}
	}
	empty := call(call(e.client, "UpdateOneID", id)[0], "Save", ctx)
	if result(empty) == nil {
		t.Error("an empty update gives the row")
	}
	if err := e.delete(ctx, id); !ent.IsNotFound(err) {
		t.Errorf("delete: %v", err)
	}
}

// TestIsolationAlongEdges: even a row that was tied to a foreign one by mistake
// shows nothing of it.
func TestIsolationAlongEdges(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		a, b := build(t, s, 0), build(t, s, 1)
		c := s.Client()
		// b's order of a's item, for a's group.
		bad, err := c.Order.Create().SetVendorID(b.vendor.ID).SetItemID(a.item.ID).SetTmrGroupID(a.group.ID).
			SetNumber(2).SetQuantity(1).Save(system(t))
		if err != nil {
			t.Fatal(err)
		}
		ctx := member(t, b.vendor)
		got, err := c.Order.Query().Where(order.ID(bad.ID)).WithItem().WithTmrGroup().WithVendor().Only(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if got.Edges.Item != nil || got.Edges.TmrGroup != nil {
			t.Error("eager loading shows foreign rows")
		}
		if got.Edges.Vendor == nil {
			t.Error("eager loading hides the own organization")
		}
		if _, err := got.QueryItem().Only(ctx); !ent.IsNotFound(err) {
			t.Errorf("a step along an edge: %v", err)
		}
		if n, err := c.TmrGroup.Query().Where(tmrgroup.ID(a.group.ID)).QueryOrders().Count(ctx); err != nil || n != 0 {
			t.Errorf("a step from a foreign row finds %d rows, %v", n, err)
		}
		for entity, id := range a.ids {
			if n, err := c.Noder(ctx, id, ent.WithFixedNodeType(table(entity))); err == nil {
				t.Errorf("node gives the foreign %s %v", entity, n)
			}
		}
	})
}

func table(entity string) string {
	for _, t := range []string{"organizations", "members", "api_tokens", "firms", "products", "items", "containers",
		"allocations", "orders", "rollouts", "tmr_groups"} {
		if strings.EqualFold(strings.ReplaceAll(strings.TrimSuffix(t, "s"), "_", ""), entity) {
			return t
		}
	}
	return "none"
}

func TestMakingForOthers(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		a, b := build(t, s, 0), build(t, s, 1)
		c, ctx := s.Client(), member(t, b.vendor)
		for what, err := range map[string]error{
			"member": c.Member.Create().SetOrganizationID(a.vendor.ID).SetEmail("x@example.com").SetName("x").
				SetRole(property.RoleOwner).Exec(ctx),
			"order": c.Order.Create().SetVendorID(a.vendor.ID).SetItemID(a.item.ID).SetTmrGroupID(a.group.ID).
				SetNumber(9).SetQuantity(1).Exec(ctx),
			"item for the vendor by its customer": c.Item.Create().SetVendorID(a.vendor.ID).SetProductID(a.product.ID).
				SetName("x").SetQuantity(1).Exec(member(t, a.customer)),
			"own order of a foreign item": c.Order.Create().SetVendorID(b.vendor.ID).SetItemID(a.item.ID).SetTmrGroupID(b.group.ID).
				SetNumber(9).SetQuantity(1).Exec(ctx),
			"own order at a foreign group": c.Order.Create().SetVendorID(b.vendor.ID).SetItemID(b.item.ID).SetTmrGroupID(a.group.ID).
				SetNumber(9).SetQuantity(1).Exec(ctx),
			"own order at a foreign container": c.Order.Create().SetVendorID(b.vendor.ID).SetItemID(b.item.ID).SetContainerID(a.container.ID).
				SetNumber(9).SetQuantity(1).Exec(ctx),
			"own order tied to a foreign rollout": c.Order.UpdateOneID(b.order.ID).SetRolloutID(a.rollout.ID).Exec(ctx),
			"own item of a foreign product": c.Item.Create().SetVendorID(b.vendor.ID).SetProductID(a.product.ID).
				SetName("x").SetQuantity(1).Exec(ctx),
			"own group for a foreign customer": c.TmrGroup.Create().SetVendorID(b.vendor.ID).SetCustomerID(a.customer.ID).SetName("x").
				SetVirtualSerial("131-9").SetActivationID(make([]byte, 16)).SetTokenKey(make([]byte, 32)).SetNextTmrID(1).Exec(ctx),
			"a row pushed on a foreign vendor": c.Work.Create().SetVendorID(a.vendor.ID).SetCustomerID(b.customer.ID).
				SetTmrGroupID(b.group.ID).SetKey("x").SetKind(property.WorkRemove).SetPayload([]byte{1}).Exec(member(t, b.customer)),
			"top organization": c.Organization.Create().SetName("x").SetVendor(true).Exec(ctx),
			"platform key":     c.PlatformKey.Create().SetName("x").SetSealed([]byte{1}).Exec(ctx),
		} {
			if license.CodeOf(err) != license.CodeForbidden {
				t.Errorf("%s: %v", what, err)
			}
		}
		// Foreign rows can't be drawn over from the other side of an edge either.
		if err := c.TmrGroup.UpdateOneID(b.group.ID).AddOrderIDs(a.order.ID).Exec(ctx); err == nil {
			t.Error("a foreign order was moved")
		}
		if err := c.Rollout.UpdateOneID(b.rollout.ID).ClearOrders().Exec(ctx); err == nil {
			t.Error("orders were cleared from the other side")
		}
		if err := c.Work.Create().SetVendorID(b.vendor.ID).SetCustomerID(b.customer.ID).SetTmrGroupID(b.group.ID).SetKey("x").
			SetKind(property.WorkRemove).SetPayload([]byte{1}).Exec(member(t, b.customer)); err != nil {
			t.Errorf("the customer's own work: %v", err)
		}
		if err := c.Member.Create().SetOrganizationID(b.vendor.ID).SetEmail("x@example.com").SetName("x").
			SetRole(property.RoleOwner).Exec(ctx); err != nil {
			t.Errorf("the own member: %v", err)
		}
	})
}

// TestTransactionsAreGuarded: the client of a transaction has the same guard.
// Whose a row is nobody changes but the system: not even he whose it is, and
// where it is nobody's, no customer takes it.
func TestOwnersStay(t *testing.T) {
	s := open(t, t.TempDir()+"/db")
	system := auth.With(t.Context(), auth.System("test"))
	vendor := s.Client().Organization.Create().SetName("Vendor").SetVendor(true).SaveX(system)
	customer := s.Client().Organization.Create().SetName("Customer").SetCustomer(true).SetProviderID(vendor.ID).SaveX(system)
	row := s.Client().Ticket.Create().SetVendorID(vendor.ID).SetCodeDigest([]byte{1}).SetSealedCode([]byte{1}).SetHint("HINT5").SetCreatedBy("x").SaveX(system)
	for what, p := range map[string]auth.Principal{
		"the vendor":   {Kind: auth.KindMember, ID: "mem_1", Organization: vendor.ID, Role: auth.Owner},
		"the customer": {Kind: auth.KindMember, ID: "mem_2", Organization: customer.ID, Provider: vendor.ID, Role: auth.Owner},
	} {
		ctx := auth.With(t.Context(), p)
		if err := s.Client().Ticket.UpdateOneID(row.ID).SetCustomerID(customer.ID).Exec(ctx); license.CodeOf(err) != license.CodeForbidden {
			t.Errorf("%s makes it the customer's: %v", what, err)
		}
		if n, err := s.Client().Ticket.Update().SetCustomerID(customer.ID).Save(ctx); license.CodeOf(err) != license.CodeForbidden {
			t.Errorf("%s makes %d the customer's: %v", what, n, err)
		}
	}
	if err := s.Client().Ticket.UpdateOneID(row.ID).SetCustomerID(customer.ID).Exec(system); err != nil {
		t.Error(err)
	}
}

func TestTransactionsAreGuarded(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		a, b := build(t, s, 0), build(t, s, 1)
		err := s.WithTx(member(t, b.vendor), func(tx *store.Tx) error {
			ctx := member(t, b.vendor)
			if _, err := tx.Order.Get(ctx, a.order.ID); !ent.IsNotFound(err) {
				t.Errorf("get: %v", err)
			}
			if n, err := tx.Order.Delete().Where(order.ID(a.order.ID)).Exec(ctx); err != nil || n != 0 {
				t.Errorf("delete: %d, %v", n, err)
			}
			if n, err := tx.Work.Update().SetState(property.WorkDone).Save(ctx); err != nil || n != 1 {
				t.Errorf("update of all: %d, %v instead of the own row", n, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// TestCatalogOfOneCustomer: what a vendor makes for one customer is not for the
// others to see.
func TestCatalogOfOneCustomer(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		w, ctx := build(t, s, 0), system(t)
		rival, err := s.Client().Organization.Create().SetName("rival").SetCustomer(true).SetProviderID(w.vendor.ID).Save(ctx)
		if err != nil {
			t.Fatal(err)
		}
		special, err := s.Client().Item.Create().SetVendorID(w.vendor.ID).SetCustomerID(w.customer.ID).SetProductID(w.product.ID).
			SetName("special terms").SetQuantity(1).Save(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			who  *ent.Organization
			want int
		}{{w.vendor, 2}, {w.customer, 2}, {rival, 1}} {
			n, err := s.Client().Item.Query().Count(member(t, c.who))
			inner, errInner := w.product.QueryItems().Count(member(t, c.who))
			_, errGet := s.Client().Item.Get(member(t, c.who), special.ID)
			if err != nil || errInner != nil || n != c.want || inner != c.want || (errGet == nil) != (c.want == 2) {
				t.Errorf("%s sees %d items, %d of the product; %v %v %v", c.who.Name, n, inner, err, errInner, errGet)
			}
		}
	})
}

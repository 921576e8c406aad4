package resolvers_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/store/storetest"
	"github.com/quorate/quorate/internal/usage"
	"github.com/quorate/quorate/resolvers"
)

// world is a platform with two tenants: the vendor "Charts" (org_charts) with
// its customer (org_port), and a stranger (org_other) with things of its own.
type world struct {
	t        testing.TB
	store    *store.Store
	bus      *event.Local
	platform *platform.Platform
	handler  http.Handler
	log      *strings.Builder
	now      time.Time
	orders   map[string]int // by vendor
}

// noJobs is a queue that nobody works on: what is tested here ends there.
type noJobs struct{}

func (noJobs) EnqueueTx(context.Context, *sql.Tx, core.Job) error { return nil }

//nolint:gochecknoglobals // prepared once for all tests
var databases = storetest.New("resolvers", nil)

func newWorld(t testing.TB, change ...func(*resolvers.Config)) *world {
	t.Helper()
	st, err := store.Open(t.Context(), databases.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	keys, err := core.NewMasterKey(make([]byte, core.MasterKeySize))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: st, bus: event.NewLocal(), log: &strings.Builder{}, orders: map[string]int{}, now: time.Now().UTC().Truncate(time.Microsecond)}
	logger := slog.New(slog.NewTextHandler(&lockedWriter{w: w.log}, nil))
	w.platform, err = platform.New(platform.Config{Store: st, Bus: w.bus, Keys: keys, Jobs: noJobs{}, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	w.seed()
	cfg := resolvers.Config{Platform: w.platform, Logger: logger, Introspection: true,
		Authenticate: func(ctx context.Context, authorization string) (auth.Principal, error) {
			token, _ := strings.CutPrefix(authorization, "Bearer ")
			return w.platform.Authenticate(ctx, token)
		}}
	for _, f := range change {
		f(&cfg)
	}
	w.handler = resolvers.NewHandler(cfg)
	return w
}

// as lets a viewer ask: "owner", "viewer" (of Charts), "customer", its customer
// "client" (org_dock, with seedBoth), "stranger", or "nobody".
func (w *world) as(ctx context.Context, viewer string) context.Context {
	p := auth.Principal{Kind: auth.KindMember, Role: auth.Owner, Organization: "org_charts"}
	switch viewer {
	case "nobody":
		return ctx
	case "owner":
	case "viewer":
		p.Role = auth.Viewer
	case "customer":
		p.Organization, p.Provider = "org_port", "org_charts"
	case "client":
		p.Organization, p.Provider = "org_dock", "org_port"
	case "stranger":
		p.Organization = "org_other"
	default:
		w.t.Fatalf("no viewer %q", viewer)
	}
	p.ID, p.Name, p.Email = "mem_"+viewer, viewer, viewer+"@example.com"
	return auth.With(ctx, p)
}

// server serves the API for a viewer, as the sign-in middleware does.
func (w *world) serve(viewer string) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.handler.ServeHTTP(rw, r.WithContext(w.as(r.Context(), viewer)))
	})
}

func (w *world) system() context.Context { return auth.With(w.t.Context(), auth.System("test")) }

// change runs f in a transaction as the platform, and then tells subscribers.
func (w *world) change(topic, key string, f func(tx *store.Tx) error) {
	w.t.Helper()
	if err := w.store.WithTx(w.system(), f); err != nil {
		w.t.Fatal(err)
	}
	if topic != "" {
		if err := w.bus.Publish(w.t.Context(), topic, key); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) seed() {
	w.change("", "", func(tx *store.Tx) error {
		ctx := w.system()
		org := func(id, name string) *ent.OrganizationCreate {
			return tx.Organization.Create().SetID(id).SetName(name).SetCreatedAt(w.now)
		}
		steps := []func() error{
			func() error { return org("org_charts", "Charts").SetVendor(true).Exec(ctx) },
			func() error { return org("org_port", "Port").SetCustomer(true).SetProviderID("org_charts").Exec(ctx) },
			func() error { return org("org_other", "Other").SetVendor(true).Exec(ctx) },
		}
		for viewer, org := range map[string]string{"owner": "org_charts", "viewer": "org_charts", "customer": "org_port", "stranger": "org_other"} {
			role := property.RoleOwner
			if viewer == "viewer" {
				role = property.RoleViewer
			}
			steps = append(steps, func() error {
				if err := tx.User.Create().SetID("usr_" + viewer).SetEmail(viewer + "@example.com").SetName(viewer).Exec(ctx); err != nil {
					return err
				}
				return tx.Member.Create().SetID("mem_" + viewer).SetOrganizationID(org).SetUserID("usr_" + viewer).SetEmail(viewer + "@example.com").
					SetName(viewer).SetRole(role).SetCreatedAt(w.now).Exec(ctx)
			})
		}
		steps = append(steps,
			func() error { return w.seedVendor(ctx, tx, "org_charts", "org_port", "", 6000010, "131-4837572") },
			func() error { return w.seedVendor(ctx, tx, "org_other", "", "x", 6000099, "131-99") },
		)
		for _, step := range steps {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
}

// seedVendor makes a firm with a product, an item, and a TMR group that holds
// 20 licenses of it under TMR-ID 7, with three handles alive. Ids end in suffix.
func (w *world) seedVendor(ctx context.Context, tx *store.Tx, vendor, customer, suffix string, firm int, virtual string) error {
	var customerID *string
	if customer != "" {
		customerID = &customer
	}
	group := "tmr_1" + suffix
	w.orders[vendor]++
	number := w.orders[vendor]
	seven := 7
	view := view20(firm, virtual)
	steps := []func() error{
		func() error {
			return tx.Firm.Create().SetID("frm_1" + suffix).SetVendorID(vendor).SetCode(firm).SetName("Charts GmbH").SetCreatedAt(w.now).
				SetSealedKey([]byte("sealed")).SetPublicKey([]byte("public")).SetCert([]byte("cert")).Exec(ctx)
		},
		func() error {
			return tx.FirmKey.Create().SetID("fky_1" + suffix).SetVendorID(vendor).SetFirmID("frm_1" + suffix).SetSerial(1).
				SetPublicKey([]byte("public")).SetCreatedAt(w.now).Exec(ctx)
		},
		func() error {
			return tx.Product.Create().SetID("prd_1" + suffix).SetVendorID(vendor).SetFirmID("frm_1" + suffix).SetCode(14).
				SetName("Chart Processing").SetSealedKey([]byte("sealed")).SetPublicKey([]byte("public")).SetCreatedAt(w.now).Exec(ctx)
		},
		func() error {
			return tx.Item.Create().SetID("itm_1" + suffix).SetVendorID(vendor).SetProductID("prd_1" + suffix).SetName("Chart Processing 20").
				SetQuantity(20).SetTmr(true).SetFeatureMap(1 << 31).SetCreatedAt(w.now).Exec(ctx)
		},
		func() error {
			return tx.TmrGroup.Create().SetID(group).SetVendorID(vendor).SetNillableCustomerID(customerID).SetName("Pilot station").
				SetVirtualSerial(virtual).SetActivationID(make([]byte, 16)).SetTokenKey([]byte("k")).SetNextTmrID(8).SetCreatedAt(w.now).
				SetViewEpoch(1).SetViewVersion(3).SetSequence(3).SetViewedAt(w.now).SetStatus(view.Status).SetQuantity(view.Quantity).SetTmrID(seven).
				SetBackends(view.Backends).SetLicenses(view.Licenses).SetClients(3).SetLinkedAt(w.now.Add(time.Hour)).Exec(ctx)
		},
		func() error {
			return tx.Order.Create().SetID("ord_0" + suffix).SetVendorID(vendor).SetNillableCustomerID(customerID).SetItemID("itm_1" + suffix).
				SetTmrGroupID(group).SetNumber(number).SetQuantity(20).SetCreatedAt(w.now).Exec(ctx)
		},
		func() error {
			return tx.Rollout.Create().SetID("rol_0" + suffix).SetVendorID(vendor).SetNillableCustomerID(customerID).SetTmrGroupID(group).
				SetNumber(1).SetState(property.RolloutDone).SetTmrID(7).SetQuantity(20).SetFirm(firm).SetSequence(12).SetMachine([]byte("{}")).SetStartedBy("owner").
				SetFinishedAt(w.now).SetCreatedAt(w.now).Exec(ctx)
		},
		func() error { return tx.Order.UpdateOneID("ord_0" + suffix).SetRolloutID("rol_0" + suffix).Exec(ctx) },
	}
	for i, name := range []string{"tmr-a", "tmr-b"} {
		steps = append(steps, func() error {
			return tx.TmrServer.Create().SetID(fmt.Sprintf("srv_%d%s", i+1, suffix)).SetVendorID(vendor).SetNillableCustomerID(customerID).
				SetTmrGroupID(group).SetName(name).SetAddress(name + ":7210").SetLinkTokenHash([]byte(name + suffix)).SetLeading(i == 0).
				SetSeenAt(w.now.Add(time.Hour)).SetCreatedAt(w.now).Exec(ctx)
		})
	}
	serials := []string{virtual}
	for _, b := range view.Backends {
		serials = append(serials, b.Serial)
	}
	for i, serial := range serials {
		steps = append(steps, func() error {
			c := tx.Container.Create().SetID(fmt.Sprintf("con_%d%s", i, suffix)).SetVendorID(vendor).SetNillableCustomerID(customerID).
				SetSerial(serial).SetKind(property.ContainerUniversal).SetTmrGroupID(group).SetCreatedAt(w.now)
			if i == 0 {
				return c.SetKind(property.ContainerVirtual).Exec(ctx)
			}
			if err := c.SetPosition(i).Exec(ctx); err != nil {
				return err
			}
			return tx.FirmCounter.Create().SetVendorID(vendor).SetContainerID(fmt.Sprintf("con_%d%s", i, suffix)).SetFirmID("frm_1" + suffix).
				SetCounter(uint64(i)).SetDigest(make([]byte, 32)).Exec(ctx)
		})
	}
	for i := range 3 {
		steps = append(steps, func() error { return w.allocation(ctx, tx, vendor, customerID, suffix, i+1).Exec(ctx) })
	}
	steps = append(steps, func() error { return w.seedUsage(ctx, tx, vendor, customerID, suffix) })
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// seedUsage adds a denial two days ago, a series since then, in which five
// licenses were taken for a day, and the firm's log with a gap.
func (w *world) seedUsage(ctx context.Context, tx *store.Tx, vendor string, customer *string, suffix string) error {
	day := w.now.Truncate(24 * time.Hour).Add(-48 * time.Hour)
	if err := tx.Denial.Create().SetID("den_1" + suffix).SetVendorID(vendor).SetNillableCustomerID(customer).SetContainerID("con_0" + suffix).
		SetProductID("prd_1" + suffix).SetPosition(1).SetAt(day).SetReason("LIMIT_REACHED").SetRule("product/cap guests").SetClient("ws-1").
		SetUser("ada").SetApplication("chartplot").SetStation("ws-1").SetMode(license.Exclusive).SetLicenses(2).SetCreatedAt(day).Exec(ctx); err != nil {
		return err
	}
	if err := tx.UsageSeries.Create().SetID("use_1" + suffix).SetVendorID(vendor).SetNillableCustomerID(customer).SetContainerID("con_0" + suffix).
		SetProductID("prd_1" + suffix).SetSince(day).SetAt(day.Add(24 * time.Hour)).SetTaken(3).SetQuantity(20).SetUsers(2).SetStations(2).Exec(ctx); err != nil {
		return err
	}
	for i, taken := range []int64{5, 3} {
		start := day.Add(time.Duration(i) * 24 * time.Hour)
		if err := tx.UsageBucket.Create().SetVendorID(vendor).SetNillableCustomerID(customer).SetSeriesID("use_1" + suffix).SetSeconds(86400).
			SetStart(start).SetUntil(start).SetOpenTaken(0).SetOpenQuantity(0).SetOpenUsers(0).SetOpenStations(0).
			SetTaken(taken).SetQuantity(20).SetUsers(2).SetStations(2).SetMostTaken(5).SetMostQuantity(20).SetTakenMs(0).SetFullMs(0).
			SetDistinctUsers(2).SetDistinctStations(2).SetGranted(5).SetReleased(2).SetExpired(0).SetRemoved(0).SetDenied(1).Exec(ctx); err != nil {
			return err
		}
	}
	var chain usage.Chain
	line, err := chain.Append(usage.Entry{Firm: 6000010, Source: "131-4837572", Seq: 7, Kind: usage.Granted, AtMs: 1_795_000_000_000})
	if err != nil {
		return err
	}
	if err := tx.UsageLog.Create().SetID("ulg_1" + suffix).SetVendorID(vendor).SetFirmID("frm_1" + suffix).SetNumber(1).SetHash(chain.Hash[:]).Exec(ctx); err != nil {
		return err
	}
	return tx.UsageEntry.Create().SetVendorID(vendor).SetLogID("ulg_1" + suffix).SetNumber(1).SetHash(chain.Hash[:]).SetLine(line).
		SetSource("131-4837572").SetSeq(7).SetMissing(6).Exec(ctx)
}

// seedContainers adds two containers of the customer that are in no group; the
// first one holds five licenses.
func (w *world) seedContainers() {
	port := "org_port"
	w.change("", "", func(tx *store.Tx) error {
		ctx := w.system()
		for i, serial := range []string{"130-800", "130-801"} {
			id := fmt.Sprintf("con_80%d", i)
			if err := tx.Container.Create().SetID(id).SetVendorID("org_charts").SetCustomerID(port).SetSerial(serial).
				SetKind(property.ContainerUniversal).SetCreatedAt(w.now).Exec(ctx); err != nil {
				return err
			}
		}
		if err := tx.Container.UpdateOneID("con_801").SetClients(2).SetServed([]property.ServedLicense{
			{Product: "6000010:14", Name: "Chart Processing", Quantity: 3, Reason: "CLOCK_SET_BACK"},
		}).Exec(ctx); err != nil {
			return err
		}
		if err := tx.TmrServer.Create().SetID("srv_801").SetVendorID("org_charts").SetCustomerID(port).SetContainerID("con_801").SetName("office").
			SetAddress("office:7400").SetLinkTokenHash([]byte("office")).SetLeading(true).SetSeenAt(w.now.Add(time.Hour)).SetCreatedAt(w.now).Exec(ctx); err != nil {
			return err
		}
		if err := tx.Rollout.Create().SetID("rol_800").SetVendorID("org_charts").SetCustomerID(port).SetContainerID("con_800").SetNumber(1).
			SetState(property.RolloutDone).SetQuantity(5).SetFirm(6000010).SetSequence(6).SetMachine([]byte("{}")).SetStartedBy("owner").SetFinishedAt(w.now).
			SetCreatedAt(w.now).Exec(ctx); err != nil {
			return err
		}
		w.orders["org_charts"]++
		return tx.Order.Create().SetID("ord_800").SetVendorID("org_charts").SetCustomerID(port).SetItemID("itm_1").SetContainerID("con_800").
			SetNumber(w.orders["org_charts"]).SetQuantity(5).SetRolloutID("rol_800").SetCreatedAt(w.now).Exec(ctx)
	})
}

// rollOut has the first of the containers have what was ordered for it.
func (w *world) rollOut() {
	w.change("", "", func(tx *store.Tx) error {
		return tx.Order.Update().Where(order.ContainerID("con_800")).SetRolloutID("rol_800").Exec(w.system())
	})
}

func (w *world) allocation(_ context.Context, tx *store.Tx, vendor string, customer *string, suffix string, n int) *ent.AllocationCreate {
	return tx.Allocation.Create().SetID(fmt.Sprintf("alc_%03d%s", n, suffix)).SetVendorID(vendor).SetNillableCustomerID(customer).
		SetContainerID("con_0" + suffix).SetProductID("prd_1" + suffix).SetHandle(fmt.Sprintf("handle-%d", n)).SetMode(license.UserLimit).
		SetLicenses(1).SetSeat(n).SetN(1).SetClient("10.0.0.9").SetUser("ada").SetStation("st-1").SetProcessID(4000 + n).
		SetApplication("charts").SetState(property.AllocationActive).SetFirstAccess(w.now).SetLastAccess(w.now).SetCreatedAt(w.now)
}

// addAllocation makes one more handle of Charts' virtual container.
func (w *world) addAllocation(n int) {
	w.t.Helper()
	port := "org_port"
	w.change(event.Allocations, "con_0", func(tx *store.Tx) error {
		return w.allocation(w.system(), tx, "org_charts", &port, "", n).Exec(w.system())
	})
}

// view20 is the present state of the table: 20 licenses under TMR-ID 7.
func view20(firm int, virtual string) property.GroupView {
	return groupView(firm, virtual, [3]int{7, 7, 7}, 7)
}

// groupView makes a view; an id of 0 is a backend that is not counted now.
func groupView(firm int, virtual string, ids [3]int, inForce int) property.GroupView {
	serials := []string{"130-1874829", "130-27845973", "130-3879234"}
	if virtual != "131-4837572" {
		n := virtual[len("131-"):]
		serials = []string{"130-1" + n, "130-2" + n, "130-3" + n}
	}
	quantity := map[int]int{7: 20, 8: 30}
	v := property.GroupView{Quantity: quantity[inForce], TmrID: &inForce}
	unanimous := true
	var status []string
	for i, id := range ids {
		b := property.Backend{Position: i + 1, Serial: serials[i], State: property.BackendActivating, Address: fmt.Sprintf("10.1.0.%d:7200", i+1)}
		cell := "-"
		if id != 0 {
			q := quantity[id]
			b.TmrID, b.Quantity, b.InForce, b.State = &id, &q, id == inForce, property.BackendPresent
			if cell = fmt.Sprintf("#%d", id); !b.InForce {
				cell = "(" + cell + ")"
			}
		}
		unanimous = unanimous && b.InForce
		status = append(status, fmt.Sprintf("%d:%s", i+1, cell))
		v.Backends = append(v.Backends, b)
	}
	v.Status = strings.Join(status, " ")
	v.Licenses = []property.TmrLicense{{Product: fmt.Sprintf("%d:14", firm), Name: "Chart Processing", InForce: true, Unanimous: unanimous,
		Status: v.Status, Quantity: v.Quantity, TmrID: &inForce}}
	return v
}

// pushView stores a view as the link does.
func (w *world) pushView(tx *store.Tx, v property.GroupView) error {
	ctx := w.system()
	g, err := tx.TmrGroup.Get(ctx, "tmr_1")
	if err != nil {
		return err
	}
	n := g.Sequence + 1
	if err := tx.TmrView.Create().SetVendorID(g.VendorID).SetNillableCustomerID(g.CustomerID).SetTmrGroupID(g.ID).SetSequence(n).
		SetEpoch(1).SetVersion(uint64(n)).SetAt(w.now).SetPayload(v).Exec(ctx); err != nil {
		return err
	}
	return tx.TmrGroup.UpdateOne(g).SetSequence(n).SetViewVersion(uint64(n)).SetViewedAt(w.now).SetStatus(v.Status).SetQuantity(v.Quantity).
		SetNillableTmrID(v.TmrID).SetBackends(v.Backends).SetLicenses(v.Licenses).Exec(ctx)
}

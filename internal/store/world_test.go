package store_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/testenv"
)

// onBoth runs a test on SQLite and on PostgreSQL.
func onBoth(t *testing.T, test func(t *testing.T, dsn string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, filepath.Join(t.TempDir(), "a b?%.db")) })
	t.Run("postgres", func(t *testing.T) { test(t, testenv.Postgres(t)) })
}

func open(t *testing.T, dsn string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.SetVeil(func(context.Context, *ent.Organization, any) error { return nil })
	return s
}

func system(t *testing.T) context.Context { return auth.With(t.Context(), auth.System("test")) }

func member(t *testing.T, org *ent.Organization) context.Context {
	p := auth.Principal{Kind: auth.KindMember, ID: "mem_" + org.ID, Organization: org.ID, Role: auth.Owner, Name: org.Name}
	if org.ProviderID != nil {
		p.Provider = *org.ProviderID
	}
	return auth.With(t.Context(), p)
}

// world is a vendor with a customer, and one row of every entity for the two.
type world struct {
	vendor, customer *ent.Organization
	firm             *ent.Firm
	product          *ent.Product
	item             *ent.Item
	group            *ent.TmrGroup
	container        *ent.Container
	rollout          *ent.Rollout
	order            *ent.Order
	work             *ent.Work
	member           *ent.Member
	// ids by entity
	ids map[string]string
}

// build makes a world; n keeps the unique columns of several worlds apart.
func build(t *testing.T, s *store.Store, n int) *world {
	t.Helper()
	return buildUnder(t, s, n, nil)
}

// buildUnder makes a world whose vendor is a customer itself, of provider.
func buildUnder(t *testing.T, s *store.Store, n int, provider *ent.Organization) *world {
	t.Helper()
	ctx, c := system(t), s.Client()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	name := string(rune('A' + n))
	w := &world{ids: map[string]string{}}
	var err error
	vendor := c.Organization.Create().SetName("vendor " + name).SetVendor(true)
	if provider != nil {
		vendor.SetCustomer(true).SetProviderID(provider.ID)
	}
	w.vendor, err = vendor.Save(ctx)
	must(err)
	w.customer, err = c.Organization.Create().SetName("customer " + name).SetCustomer(true).SetProviderID(w.vendor.ID).Save(ctx)
	must(err)
	w.ids[ent.TypeOrganization] = w.vendor.ID
	v, cu := w.vendor.ID, w.customer.ID
	w.member, err = c.Member.Create().SetOrganizationID(v).SetEmail(name + "@example.com").SetName(name).
		SetRole(property.RoleOwner).Save(ctx)
	must(err)
	w.ids[ent.TypeMember] = w.member.ID
	who, err := c.User.Create().SetEmail(name + "@example.com").SetName(name).Save(ctx)
	must(err)
	w.ids[ent.TypeUser] = who.ID
	people, err := c.MemberGroup.Create().SetOrganizationID(v).SetName(name).SetRole(property.RoleViewer).Save(ctx)
	must(err)
	w.ids[ent.TypeMemberGroup] = people.ID
	in, err := c.MemberGroupEntry.Create().SetOrganizationID(v).SetMemberGroupID(people.ID).SetMemberID(w.member.ID).Save(ctx)
	must(err)
	w.ids[ent.TypeMemberGroupEntry] = in.ID
	invited, err := c.Invitation.Create().SetOrganizationID(v).SetEmail("x@example.com").SetName("x").SetRole(property.RoleViewer).
		SetTokenDigest([]byte("invitation " + name)).SetInvitedBy("me").SetExpiresAt(time.Now()).Save(ctx)
	must(err)
	w.ids[ent.TypeInvitation] = invited.ID
	idp, err := c.IdentityProvider.Create().SetOrganizationID(v).SetName(name).SetIssuer("https://id.example.com").SetClientID("q").Save(ctx)
	must(err)
	w.ids[ent.TypeIdentityProvider] = idp.ID
	identity, err := c.UserIdentity.Create().SetUserID(who.ID).SetProviderID(idp.ID).SetIssuer("https://id.example.com").SetSubject("1").Save(ctx)
	must(err)
	w.ids[ent.TypeUserIdentity] = identity.ID
	once, err := c.IdempotencyKey.Create().SetOrganizationID(v).SetOperation("order").SetKey("k").SetDigest(make([]byte, 32)).SetResult("x").Save(ctx)
	must(err)
	w.ids[ent.TypeIdempotencyKey] = once.ID
	endpoint, err := c.WebhookEndpoint.Create().SetOrganizationID(v).SetURL("https://hooks.example.com").SetEvents([]string{"*"}).
		SetSealedSecret([]byte{1}).Save(ctx)
	must(err)
	w.ids[ent.TypeWebhookEndpoint] = endpoint.ID
	told, err := c.WebhookEvent.Create().SetOrganizationID(v).SetKind("order.created").SetPayload([]byte("{}")).Save(ctx)
	must(err)
	w.ids[ent.TypeWebhookEvent] = told.ID
	delivery, err := c.WebhookDelivery.Create().SetOrganizationID(v).SetWebhookEndpointID(endpoint.ID).SetWebhookEventID(told.ID).Save(ctx)
	must(err)
	w.ids[ent.TypeWebhookDelivery] = delivery.ID
	token, err := c.ApiToken.Create().SetOrganizationID(v).SetName(name).SetRole(property.RoleViewer).SetHash([]byte("token " + name)).Save(ctx)
	must(err)
	w.ids[ent.TypeApiToken] = token.ID
	aud, err := c.AuditEntry.Create().SetOrganizationID(v).SetActor("a").SetAction("b").SetTarget("c").
		SetAfter(map[string]any{"x": 1.0}).Save(ctx)
	must(err)
	w.ids[ent.TypeAuditEntry] = aud.ID
	w.firm, err = c.Firm.Create().SetVendorID(v).SetCode(6_000_010 + n).SetName(name).SetSealedKey([]byte{1}).
		SetPublicKey([]byte{1}).SetCert([]byte{1}).Save(ctx)
	must(err)
	w.ids[ent.TypeFirm] = w.firm.ID
	firmKey, err := c.FirmKey.Create().SetVendorID(v).SetFirmID(w.firm.ID).SetSerial(1).SetPublicKey([]byte{2}).Save(ctx)
	must(err)
	w.ids[ent.TypeFirmKey] = firmKey.ID
	w.product, err = c.Product.Create().SetVendorID(v).SetFirmID(w.firm.ID).SetCode(14).SetName("Chart Processing").
		SetSealedKey([]byte{1}).SetPublicKey([]byte{1}).Save(ctx)
	must(err)
	w.ids[ent.TypeProduct] = w.product.ID
	w.item, err = c.Item.Create().SetVendorID(v).SetProductID(w.product.ID).SetName("item").SetQuantity(20).
		SetFeatureMap(1<<32 - 1).SetTmr(true).Save(ctx)
	must(err)
	w.ids[ent.TypeItem] = w.item.ID
	version, err := c.ItemVersion.Create().SetVendorID(v).SetItemID(w.item.ID).SetRevision(1).SetTerms([]property.Term{}).SetChangedBy("me").Save(ctx)
	must(err)
	w.ids[ent.TypeItemVersion] = version.ID
	w.group, err = c.TmrGroup.Create().SetVendorID(v).SetCustomerID(cu).SetName(name).SetVirtualSerial("131-" + string(rune('1'+n))).
		SetActivationID(make([]byte, 16)).SetTokenKey(make([]byte, 32)).SetNextTmrID(7).Save(ctx)
	must(err)
	w.ids[ent.TypeTmrGroup] = w.group.ID
	g := w.group.ID
	view, err := c.TmrView.Create().SetVendorID(v).SetCustomerID(cu).SetTmrGroupID(g).SetSequence(1).SetEpoch(1).SetVersion(1).
		SetAt(time.Now()).SetPayload(property.GroupView{Status: "1:- 2:- 3:-"}).Save(ctx)
	must(err)
	w.ids[ent.TypeTmrView] = view.ID
	server, err := c.TmrServer.Create().SetVendorID(v).SetCustomerID(cu).SetTmrGroupID(g).SetName("a").SetAddress("x").
		SetLinkTokenHash([]byte("link " + name)).Save(ctx)
	must(err)
	w.ids[ent.TypeTmrServer] = server.ID
	w.container, err = c.Container.Create().SetVendorID(v).SetCustomerID(cu).SetSerial("130-" + string(rune('1'+n))).
		SetKind(property.ContainerUniversal).SetTmrGroupID(g).SetPosition(1).Save(ctx)
	must(err)
	con := w.container.ID
	w.ids[ent.TypeContainer] = con
	counter, err := c.FirmCounter.Create().SetVendorID(v).SetCustomerID(cu).SetContainerID(con).SetFirmID(w.firm.ID).
		SetCounter(1).SetDigest(make([]byte, 32)).Save(ctx)
	must(err)
	w.ids[ent.TypeFirmCounter] = counter.ID
	alc, err := c.Allocation.Create().SetVendorID(v).SetCustomerID(cu).SetContainerID(con).SetProductID(w.product.ID).
		SetHandle("h").SetMode(license.UserLimit).SetSeat(1).SetN(1).SetClient("c").SetUser("u").SetStation("s").
		SetProcessID(1).SetApplication("a").SetState(property.AllocationActive).SetFirstAccess(time.Now()).
		SetLastAccess(time.Now()).Save(ctx)
	must(err)
	w.ids[ent.TypeAllocation] = alc.ID
	den, err := c.Denial.Create().SetVendorID(v).SetCustomerID(cu).SetContainerID(con).SetProductID(w.product.ID).SetPosition(1).
		SetAt(time.Now()).SetReason("NO_FREE_SEAT").SetClient("c").SetUser("u").SetApplication("a").Save(ctx)
	must(err)
	w.ids[ent.TypeDenial] = den.ID
	w.rollout, err = c.Rollout.Create().SetVendorID(v).SetCustomerID(cu).SetTmrGroupID(g).SetNumber(1).SetRunning(true).
		SetState(property.RolloutCollecting).SetStartedBy("me").Save(ctx)
	must(err)
	w.ids[ent.TypeRollout] = w.rollout.ID
	w.order, err = c.Order.Create().SetVendorID(v).SetCustomerID(cu).SetItemID(w.item.ID).SetTmrGroupID(g).SetNumber(1).
		SetQuantity(20).SetRolloutID(w.rollout.ID).Save(ctx)
	must(err)
	w.ids[ent.TypeOrder] = w.order.ID
	w.tickets(ctx, t, c, name)
	upd, err := c.Update.Create().SetVendorID(v).SetCustomerID(cu).SetRolloutID(w.rollout.ID).SetContainerID(con).
		SetFirmID(w.firm.ID).SetNumber(1).SetPrevious(make([]byte, 32)).SetTmrID(7).Save(ctx)
	must(err)
	w.ids[ent.TypeUpdate] = upd.ID
	w.work, err = c.Work.Create().SetVendorID(v).SetCustomerID(cu).SetTmrGroupID(g).SetRolloutID(w.rollout.ID).SetKey(name).
		SetKind(property.WorkCollect).SetPayload([]byte{1}).Save(ctx)
	must(err)
	w.ids[ent.TypeWork] = w.work.ID
	moved, err := c.Transfer.Create().SetVendorID(v).SetCustomerID(cu).SetTmrGroupID(g).SetProductID(w.product.ID).SetItemID(w.item.ID).
		SetKind(property.TransferReturn).SetQuantity(1).SetRequestedBy("me").Save(ctx)
	must(err)
	w.ids[ent.TypeTransfer] = moved.ID
	set, err := c.RuleSet.Create().SetVendorID(v).SetCustomerID(cu).SetTmrGroupID(g).SetVersion(1).SetText("deny user:x").
		SetDigest("x").SetSavedBy("me").Save(ctx)
	must(err)
	w.ids[ent.TypeRuleSet] = set.ID
	series, err := c.UsageSeries.Create().SetVendorID(v).SetCustomerID(cu).SetContainerID(con).SetProductID(w.product.ID).
		SetSince(time.Now()).SetAt(time.Now()).Save(ctx)
	must(err)
	w.ids[ent.TypeUsageSeries] = series.ID
	bucket, err := c.UsageBucket.Create().SetVendorID(v).SetCustomerID(cu).SetSeriesID(series.ID).SetSeconds(60).
		SetStart(time.Now()).SetUntil(time.Now()).SetOpenTaken(0).SetOpenQuantity(0).SetOpenUsers(0).SetOpenStations(0).
		SetTaken(1).SetQuantity(1).SetUsers(1).SetStations(1).SetMostTaken(1).SetMostQuantity(1).SetTakenMs(1).SetFullMs(1).
		SetDistinctUsers(1).SetDistinctStations(1).SetGranted(1).SetReleased(0).SetExpired(0).SetRemoved(0).SetDenied(0).Save(ctx)
	must(err)
	w.ids[ent.TypeUsageBucket] = bucket.ID
	usage, err := c.UsageLog.Create().SetVendorID(v).SetFirmID(w.firm.ID).SetNumber(1).SetHash(make([]byte, 32)).Save(ctx)
	must(err)
	w.ids[ent.TypeUsageLog] = usage.ID
	entry, err := c.UsageEntry.Create().SetVendorID(v).SetLogID(usage.ID).SetNumber(1).SetHash(make([]byte, 32)).
		SetLine("{}").SetSource("130-1").SetSeq(1).Save(ctx)
	must(err)
	w.ids[ent.TypeUsageEntry] = entry.ID
	kept, err := c.UsageKept.Create().SetSeconds(60 + n).SetSince(time.Now()).Save(ctx)
	must(err)
	w.ids[ent.TypeUsageKept] = kept.ID
	key, err := c.PlatformKey.Create().SetName(name).SetSealed([]byte{1}).Save(ctx)
	must(err)
	w.ids[ent.TypePlatformKey] = key.ID
	session, err := c.Session.Create().SetID(name).SetData([]byte{1}).SetExpiresAt(time.Now()).Save(ctx)
	must(err)
	w.ids[ent.TypeSession] = session.ID
	return w
}

// tickets makes what tickets, enrollments and plans consist of.
func (w *world) tickets(ctx context.Context, t *testing.T, c *ent.Client, name string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	v, cu, g := w.vendor.ID, w.customer.ID, w.group.ID
	ticket, err := c.Ticket.Create().SetVendorID(v).SetCustomerID(cu).SetCodeDigest([]byte("ticket " + name)).SetSealedCode([]byte{1}).
		SetHint("ABCDE").SetCreatedBy("me").Save(ctx)
	must(err)
	w.ids[ent.TypeTicket] = ticket.ID
	line, err := c.TicketLine.Create().SetVendorID(v).SetCustomerID(cu).SetTicketID(ticket.ID).SetItemID(w.item.ID).
		SetPosition(1).SetQuantity(20).Save(ctx)
	must(err)
	w.ids[ent.TypeTicketLine] = line.ID
	part, err := c.TicketActivation.Create().SetVendorID(v).SetCustomerID(cu).SetTicketID(ticket.ID).SetTicketLineID(line.ID).
		SetTmrGroupID(g).SetOrderID(w.order.ID).SetQuantity(20).SetActivatedBy("me").Save(ctx)
	must(err)
	w.ids[ent.TypeTicketActivation] = part.ID
	code, err := c.Enrollment.Create().SetVendorID(v).SetCustomerID(cu).SetTmrGroupID(g).SetName("tmr-b").
		SetCodeDigest([]byte("enrollment " + name)).SetCreatedBy("me").SetExpiresAt(time.Now()).Save(ctx)
	must(err)
	w.ids[ent.TypeEnrollment] = code.ID
	plan, err := c.RolloutPlan.Create().SetVendorID(v).SetCustomerID(cu).SetName(name).SetStartedBy("me").Save(ctx)
	must(err)
	w.ids[ent.TypeRolloutPlan] = plan.ID
	entry, err := c.RolloutPlanEntry.Create().SetVendorID(v).SetCustomerID(cu).SetRolloutPlanID(plan.ID).SetWave(1).SetTmrGroupID(g).Save(ctx)
	must(err)
	w.ids[ent.TypeRolloutPlanEntry] = entry.ID
}

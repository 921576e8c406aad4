package provision

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"slices"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/firm"
	"github.com/quorate/quorate/ent/item"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/product"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/tmrgroup"
	"github.com/quorate/quorate/ent/tmrserver"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// ProvisionSpec tells what there shall be. What is there already, by its code,
// serial or name, stays as it is.
type ProvisionSpec struct {
	// Vendor is the organization's id. Members and tokens may leave it empty.
	Vendor string
	// Customer is the name of the customer that runs the group; empty: the
	// vendor itself does.
	Customer string
	Firm     catalog.FirmSpec
	Product  catalog.ProductSpec
	Item     catalog.ItemSpec // it is enabled for TMR, whatever it says
	Group    GroupSpec
}

// GroupSpec is a TMR group.
type GroupSpec struct {
	Name    string
	Virtual license.Serial
	// FirstTMRID is what the first rollout brings; zero: 1.
	FirstTMRID uint32
	// TokenKey verifies the handle tokens that the TMR servers sign.
	TokenKey ed25519.PublicKey
	// Fingerprints of the three backends' containers, by position.
	Fingerprints [license.Backends][]byte
	Servers      []ServerSpec
}

// ServerSpec is a TMR server. Address is where programs reach it.
type ServerSpec struct{ Name, Address string }

// Provisioned is what there is now.
type Provisioned struct {
	Firm       *ent.Firm
	Product    *ent.Product
	Item       *ent.Item
	Group      *ent.TmrGroup
	Virtual    *ent.Container
	Containers [license.Backends]*ent.Container
	Servers    []ProvisionedServer
}

// ProvisionedServer is a TMR server with its link token.
type ProvisionedServer struct {
	Server *ent.TmrServer
	// Token is set only when the server was made by this very call; it is kept
	// as a digest only (see RotateLinkToken).
	Token string
}

// Provision makes a firm, a product, an item and a TMR group with its
// containers and servers where they are missing, all or nothing. Called again
// it changes nothing. Errors: CodeInvalidInput, CodeFingerprintForged,
// CodeConflict where something of the same code, serial or name is another's
// or has other keys.
func (p *Service) Provision(ctx context.Context, spec ProvisionSpec) (Provisioned, error) {
	by, err := auth.Require(ctx, auth.Provision)
	if err != nil {
		return Provisioned{}, err
	}
	if spec.Vendor == "" {
		spec.Vendor = by.Organization
	}
	if !by.IsSystem() && spec.Vendor != by.Organization {
		return Provisioned{}, license.Errorf(license.CodeForbidden, "provision for your own organization", "the vendor is not your organization")
	}
	root, err := p.core.RootSigner(core.System(ctx, "provision"), p.core.Store.Client())
	if err != nil {
		return Provisioned{}, err
	}
	prints, err := checkSpec(spec, root.Public())
	if err != nil {
		return Provisioned{}, err
	}
	spec.Item.TMR = true
	if err := catalog.CheckItem(spec.Item); err != nil {
		return Provisioned{}, err
	}
	var out Provisioned
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		out = Provisioned{}
		if !by.IsSystem() {
			if err := p.core.VendorOnly(ctx, tx, by); err != nil {
				return err
			}
		}
		w := provisioning{p: p, tx: tx, spec: spec, root: root, vendor: spec.Vendor}
		return w.run(ctx, prints, &out)
	})
	if ent.IsConstraintError(err) {
		return Provisioned{}, &license.Error{Code: license.CodeConflict,
			Message: "a firm code, serial number or name is taken by another organization, or was taken this moment",
			Fix:     "choose another one, or try again", Err: err}
	}
	return out, err
}

func checkSpec(spec ProvisionSpec, root ed25519.PublicKey) (prints [license.Backends]seal.Fingerprint, err error) {
	invalid := func(fix, format string, args ...any) error {
		return license.Errorf(license.CodeInvalidInput, fix, format, args...)
	}
	g := spec.Group
	switch {
	case spec.Vendor == "":
		return prints, invalid("give the vendor's id", "no vendor is given")
	case !spec.Firm.Code.Universal():
		return prints, invalid("take one of 6000000 to 6999999", "TMR wants a universal firm code, and %d is not one", spec.Firm.Code)
	case g.Virtual.Kind() != license.KindVirtual:
		return prints, invalid("take one with the mask 131", "%s is not the serial number of a virtual container", g.Virtual)
	case len(g.TokenKey) != ed25519.PublicKeySize:
		return prints, invalid("give the Ed25519 public key of the group's TMR servers", "the token key has %d bytes", len(g.TokenKey))
	case len(g.Servers) == 0:
		return prints, invalid("give both TMR servers", "the group has no TMR server")
	}
	for i, b := range g.Fingerprints {
		if prints[i], err = seal.OpenFingerprint(b); err != nil {
			return prints, err
		}
		f := prints[i]
		switch {
		case !f.Root.Equal(root):
			return prints, license.Errorf(license.CodeConflict, "create the container under this platform's root key",
				"the container %s was created under another platform", f.Serial)
		case f.ActivationID != prints[0].ActivationID:
			return prints, invalid("create the three with one activation id", "%s and %s have different activation ids", prints[0].Serial, f.Serial)
		case f.Serial.Kind() == license.KindVirtual:
			return prints, invalid("give the fingerprint of a backend's container", "%s is a virtual container", f.Serial)
		}
		for _, other := range prints[:i] {
			if other.Serial == f.Serial {
				return prints, invalid("give the fingerprints of three containers", "%s is there twice", f.Serial)
			}
		}
	}
	return prints, nil
}

// provisioning is one run in one transaction.
type provisioning struct {
	p      *Service
	tx     *store.Tx
	spec   ProvisionSpec
	root   seal.Signer
	vendor string
	cust   *string
	most   int      // containers that the customer may have; 0: any number
	made   []string // ids of what was made
}

func (w *provisioning) run(ctx context.Context, prints [license.Backends]seal.Fingerprint, out *Provisioned) (err error) {
	if err = w.customer(ctx); err != nil {
		return err
	}
	if out.Firm, err = w.firm(ctx); err != nil {
		return err
	}
	if out.Product, err = w.product(ctx, out.Firm); err != nil {
		return err
	}
	if out.Item, err = w.item(ctx, out.Product); err != nil {
		return err
	}
	if out.Group, err = w.group(ctx, prints[0].ActivationID); err != nil {
		return err
	}
	if out.Virtual, err = w.virtual(ctx, out.Group); err != nil {
		return err
	}
	for i, f := range prints {
		if out.Containers[i], err = w.container(ctx, out.Group, i+1, f); err != nil {
			return err
		}
	}
	if err := w.servers(ctx, out); err != nil {
		return err
	}
	if len(w.made) == 0 {
		return nil
	}
	return core.Audit(ctx, w.tx, w.vendor, "platform.provision", out.Group.ID, nil, map[string]any{"made": w.made})
}

func (w *provisioning) customer(ctx context.Context) error {
	name := w.spec.Customer
	if name == "" {
		return nil
	}
	org, err := w.tx.Organization.Query().Where(organization.Name(name), organization.ProviderID(w.vendor)).Only(ctx)
	if ent.IsNotFound(err) {
		if err := core.CheckName("customer", name); err != nil {
			return core.AtField("customer", err)
		}
		org, err = w.p.core.NewCustomer(ctx, w.tx, w.vendor, name)
		if err == nil {
			w.made = append(w.made, org.ID)
		}
	}
	if err != nil {
		return err
	}
	w.cust = &org.ID
	return nil
}

func (w *provisioning) firm(ctx context.Context) (*ent.Firm, error) {
	code := int(w.spec.Firm.Code)
	found, err := w.tx.Firm.Query().Where(firm.Code(code), firm.VendorID(w.vendor)).Only(ctx)
	if !ent.IsNotFound(err) {
		return found, err
	}
	f, err := catalog.MakeFirm(ctx, w.p.core, w.tx, w.root, w.vendor, w.spec.Firm)
	if err == nil {
		w.made = append(w.made, f.ID)
	}
	return f, err
}

func (w *provisioning) product(ctx context.Context, f *ent.Firm) (*ent.Product, error) {
	found, err := w.tx.Product.Query().Where(product.FirmID(f.ID), product.Code(int(w.spec.Product.Code))).Only(ctx)
	if !ent.IsNotFound(err) {
		return found, err
	}
	made, err := catalog.MakeProduct(ctx, w.p.core, w.tx, f, w.spec.Product)
	if err == nil {
		w.made = append(w.made, made.ID)
	}
	return made, err
}

func (w *provisioning) item(ctx context.Context, of *ent.Product) (*ent.Item, error) {
	found, err := w.tx.Item.Query().Where(item.ProductID(of.ID), item.Name(w.spec.Item.Name)).Only(ctx)
	if !ent.IsNotFound(err) {
		return found, err
	}
	made, err := catalog.MakeItem(ctx, w.p.core, w.tx, of, w.spec.Item)
	if err == nil {
		w.made = append(w.made, made.ID)
	}
	return made, err
}

func (w *provisioning) group(ctx context.Context, activation [16]byte) (*ent.TmrGroup, error) {
	s := w.spec.Group
	found, err := w.tx.TmrGroup.Query().Where(tmrgroup.VirtualSerial(s.Virtual.String()), tmrgroup.VendorID(w.vendor)).Only(ctx)
	if err == nil && (!bytes.Equal(found.ActivationID, activation[:]) || !bytes.Equal(found.TokenKey, s.TokenKey)) {
		return nil, license.Errorf(license.CodeConflict, "take another serial number for another group",
			"the group %s is there with another activation id or token key", s.Virtual)
	}
	if !ent.IsNotFound(err) {
		return found, err
	}
	made, err := w.tx.TmrGroup.Create().SetVendorID(w.vendor).SetNillableCustomerID(w.cust).SetName(s.Name).
		SetVirtualSerial(s.Virtual.String()).SetActivationID(activation[:]).SetTokenKey(s.TokenKey).
		SetNextTmrID(int(max(s.FirstTMRID, 1))).Save(ctx)
	if err == nil {
		w.made = append(w.made, made.ID)
	}
	return made, err
}

func (w *provisioning) virtual(ctx context.Context, g *ent.TmrGroup) (*ent.Container, error) {
	found, err := w.tx.Container.Query().Where(container.Serial(g.VirtualSerial)).Only(ctx)
	if err == nil && (found.TmrGroupID == nil || *found.TmrGroupID != g.ID) {
		return nil, license.Errorf(license.CodeConflict, "take another serial number", "the container %s is there already", found.Serial)
	}
	if !ent.IsNotFound(err) {
		return found, err
	}
	made, err := w.tx.Container.Create().SetVendorID(w.vendor).SetNillableCustomerID(g.CustomerID).
		SetSerial(g.VirtualSerial).SetKind(property.ContainerVirtual).SetTmrGroupID(g.ID).Save(ctx)
	if err == nil {
		w.made = append(w.made, made.ID)
	}
	return made, err
}

func (w *provisioning) container(ctx context.Context, g *ent.TmrGroup, position int, f seal.Fingerprint) (*ent.Container, error) {
	found, err := w.tx.Container.Query().Where(container.Serial(f.Serial.String())).Only(ctx)
	if err == nil && (found.TmrGroupID == nil || *found.TmrGroupID != g.ID || found.Position == nil || *found.Position != position ||
		!bytes.Equal(found.SignKey, f.Identity.Sign) || !bytes.Equal(found.SealKey, f.Identity.Seal)) {
		return nil, license.Errorf(license.CodeConflict, "name the containers that are in the group; another one comes in by replacing a backend",
			"the container %s is there with another place or other keys", f.Serial)
	}
	if !ent.IsNotFound(err) {
		return found, err
	}
	if len(f.Licenses) > 0 || slices.ContainsFunc(f.Firms, func(s seal.FirmState) bool { return s.Counter > 0 }) {
		return nil, license.Errorf(license.CodeManipulation, "provision a fresh container, or restore the platform's database",
			"the container %s holds updates that this platform has no record of", f.Serial)
	}
	made, err := w.tx.Container.Create().SetVendorID(w.vendor).SetNillableCustomerID(g.CustomerID).
		SetSerial(f.Serial.String()).SetKind(core.KindOf(f.Serial)).SetTmrGroupID(g.ID).SetPosition(position).
		SetActivationID(f.ActivationID[:]).SetSignKey(f.Identity.Sign).SetSealKey(f.Identity.Seal).Save(ctx)
	if err != nil {
		return nil, err
	}
	w.made = append(w.made, made.ID)
	return made, w.p.core.EmitContainer(ctx, w.tx, made, core.EventContainerRegistered, "")
}

func (w *provisioning) servers(ctx context.Context, out *Provisioned) error {
	for _, s := range w.spec.Group.Servers {
		found, err := w.tx.TmrServer.Query().Where(tmrserver.TmrGroupID(out.Group.ID), tmrserver.Name(s.Name)).Only(ctx)
		token := ""
		if ent.IsNotFound(err) {
			var hash []byte
			if token, hash, err = auth.NewToken(auth.LinkToken); err != nil {
				return err
			}
			found, err = w.tx.TmrServer.Create().SetVendorID(w.vendor).SetNillableCustomerID(out.Group.CustomerID).
				SetTmrGroupID(out.Group.ID).SetName(s.Name).SetAddress(s.Address).SetLinkTokenHash(hash).Save(ctx)
			if err == nil {
				w.p.core.PublishServer(ctx, w.tx, found)
				w.made = append(w.made, found.ID)
			}
		}
		if err != nil {
			return err
		}
		out.Servers = append(out.Servers, ProvisionedServer{found, token})
	}
	return nil
}

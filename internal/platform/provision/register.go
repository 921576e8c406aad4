package provision

import (
	"bytes"
	"context"
	"slices"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/tmrserver"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/containers"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// MostContainers is how many a customer may have for registering another one.
const MostContainers = 1000

// RegisterSpec tells of a container outside of TMR groups.
type RegisterSpec struct {
	// Request is the text of the container's request file.
	Request string
	// Vendor is the global id of who licenses to it: the caller's own organization
	// or its provider. Empty: its provider, or itself where there is none.
	Vendor string `json:",omitempty"`
	// Customer is the name of the customer that runs it, made where it is
	// missing; empty: the vendor itself does. A customer registers its own alone,
	// by its name or none.
	Customer string
	// Server is its license server, if that shall be linked; nil: it gets its
	// updates by files.
	Server *ServerSpec
	// Key: the same one gives the same container; empty is no key.
	Key string `json:"-"`
}

// Registered is a container with its server, if one was asked for.
type Registered struct {
	Container *ent.Container
	Server    *ent.TmrServer
	// Token is the server's link token, set only when the server was made by
	// this very call.
	Token string
}

// RegisterContainer makes a container known by the fingerprint in its request
// file: a vendor's for anybody, a customer's for itself, with its vendor; who is
// both says by spec.Vendor which one is meant. That
// brings no licenses: orders, tickets and re-hosting do, by the vendor's rules.
// Called again it changes nothing, but for a server that it adds. Errors:
// CodeForbidden, CodeLimitReached, CodeInvalidInput, CodeFingerprintForged and the others of
// armor.Parse, CodeConflict for a container of a TMR group, of another
// organization or with other keys, and for a key of another request,
// CodeContainerBlocked, CodeManipulation for
// one that holds updates of which nothing is known here.
func (p *Service) RegisterContainer(ctx context.Context, spec RegisterSpec) (Registered, error) {
	by, err := auth.Require(ctx, auth.Provision)
	if err != nil {
		return Registered{}, err
	}
	file, parts, err := core.ParseFile(armor.Request, spec.Request)
	if err != nil {
		return Registered{}, err
	}
	if err := checkRegister(spec, by, file, parts[0]); err != nil {
		return Registered{}, err
	}
	root, err := p.core.RootSigner(core.System(ctx, "provision"), p.core.Store.Client())
	if err != nil {
		return Registered{}, err
	}
	f := *parts[0].Request
	if !f.Root.Equal(root.Public()) {
		return Registered{}, license.Errorf(license.CodeConflict, "create the container under this platform's root key",
			"the container %s was created under another platform", f.Serial)
	}
	var out Registered
	register := func(tx *store.Tx) error {
		out = Registered{}
		w := provisioning{p: p, tx: tx, spec: ProvisionSpec{Customer: spec.Customer}, vendor: by.Organization}
		if err := w.whose(ctx, by, spec.Vendor); err != nil {
			return err
		}
		if out.Container, err = w.alone(ctx, f); err != nil {
			return err
		}
		if spec.Server != nil {
			if err := w.server(ctx, *spec.Server, &out); err != nil {
				return err
			}
		}
		if len(w.made) == 0 {
			return nil
		}
		return core.Audit(ctx, tx, by.Organization, "container.register", out.Container.ID, nil, map[string]any{"made": w.made, "serial": out.Container.Serial})
	}
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		ids, again, err := core.Once(ctx, tx, by.Organization, "registerContainer", spec.Key, spec, func() ([]string, error) {
			if err := register(tx); err != nil {
				return nil, err
			}
			if out.Server == nil {
				return []string{out.Container.ID}, nil
			}
			return []string{out.Container.ID, out.Server.ID}, nil
		})
		if err != nil || !again {
			return err
		}
		out, err = registered(ctx, tx, ids)
		return err
	})
	if ent.IsConstraintError(err) {
		return Registered{}, &license.Error{Code: license.CodeConflict,
			Message: "the serial number is taken by another organization, or was taken this moment",
			Fix:     "create the container with another one, or try again", Err: err}
	}
	return out, err
}

// registered is what was registered before: a container, and its server if one
// was asked for.
func registered(ctx context.Context, tx *store.Tx, ids []string) (out Registered, err error) {
	if out.Container, err = tx.Container.Get(ctx, ids[0]); err != nil {
		return out, core.NotFound(err, "container", ids[0])
	}
	if len(ids) > 1 {
		out.Server, err = tx.TmrServer.Get(ctx, ids[1])
		err = core.NotFound(err, "server", ids[1])
	}
	return out, err
}

func checkRegister(spec RegisterSpec, by auth.Principal, file armor.File, part armor.Part) error {
	switch {
	case by.Organization == "":
		return license.Errorf(license.CodeInvalidInput, "act for a member", "the system has no containers")
	case !file.Group.IsZero():
		return license.Errorf(license.CodeInvalidInput, "provision the group, or give the file of one container", "the file is of the TMR group %s", file.Group)
	case part.Serial.Kind() == license.KindVirtual:
		return license.Errorf(license.CodeInvalidInput, "give the request of a license server", "%s is a virtual container", part.Serial)
	case len(spec.Customer) > core.MostName:
		return license.Errorf(license.CodeInvalidInput, "use at most 200 bytes", "the customer's name is too long")
	case spec.Server != nil && spec.Server.Address != core.PlainText(core.ClipText(spec.Server.Address)):
		return core.AtField("server", license.Errorf(license.CodeInvalidInput, "use at most 200 bytes on one line", "the server's address is too long or no plain text"))
	case spec.Server != nil:
		return core.AtField("server", core.CheckName("server", spec.Server.Name))
	}
	return nil
}

// whose finds out whose the container is to be. Who has a provider says it where
// he is meant as a vendor himself.
func (w *provisioning) whose(ctx context.Context, by auth.Principal, vendor string) error {
	switch {
	case vendor == by.Organization || vendor == "" && by.Provider == "":
		if err := w.p.core.VendorOnly(ctx, w.tx, by); err != nil {
			return core.AtField("vendor", err)
		}
		return w.customer(ctx)
	case vendor != "" && vendor != by.Provider:
		return core.AtField("vendor", license.Errorf(license.CodeForbidden, "name your own organization, or your vendor",
			"that one is not your vendor"))
	}
	own, err := w.tx.Organization.Get(ctx, by.Organization)
	if err != nil {
		return err
	}
	if name := w.spec.Customer; name != "" && name != own.Name {
		return license.Errorf(license.CodeForbidden, "leave the customer out, ask the vendor, or be named as the vendor yourself",
			"a customer registers its own containers alone")
	}
	w.vendor, w.cust, w.most = by.Provider, &own.ID, MostContainers
	return nil
}

// alone finds or makes the container.
func (w *provisioning) alone(ctx context.Context, f seal.Fingerprint) (*ent.Container, error) {
	found, err := w.tx.Container.Query().Where(container.Serial(f.Serial.String())).WithTmrGroup().Only(ctx)
	if err == nil {
		return found, sameAlone(found, f, w.vendor, w.cust)
	}
	if !ent.IsNotFound(err) {
		return nil, err
	}
	if len(f.Licenses) > 0 || slices.ContainsFunc(f.Firms, func(s seal.FirmState) bool { return s.Counter > 0 }) {
		return nil, license.Errorf(license.CodeManipulation, "register a fresh container, or restore the platform's database",
			"the container %s holds updates that this platform has no record of", f.Serial)
	}
	if err := w.room(ctx); err != nil {
		return nil, err
	}
	made, err := w.tx.Container.Create().SetVendorID(w.vendor).SetNillableCustomerID(w.cust).
		SetSerial(f.Serial.String()).SetKind(core.KindOf(f.Serial)).
		SetActivationID(f.ActivationID[:]).SetSignKey(f.Identity.Sign).SetSealKey(f.Identity.Seal).Save(ctx)
	if err != nil {
		return nil, err
	}
	w.made = append(w.made, made.ID)
	if err := containers.Follows(ctx, w.tx, f, made); err != nil {
		return nil, err
	}
	return made, w.p.core.EmitContainer(ctx, w.tx, made, core.EventContainerRegistered, "")
}

// room refuses one more container where there is a bound.
func (w *provisioning) room(ctx context.Context) error {
	if w.most == 0 {
		return nil
	}
	if err := w.tx.LockName(ctx, "containers\x00"+*w.cust); err != nil {
		return err
	}
	n, err := w.tx.Container.Query().Where(container.CustomerID(*w.cust)).Count(ctx)
	if err == nil && n >= w.most {
		err = license.Errorf(license.CodeLimitReached, "ask the vendor to register it", "there are %d containers already, and a customer registers no more", n)
	}
	return err
}

func sameAlone(found *ent.Container, f seal.Fingerprint, vendor string, customer *string) error {
	conflict := func(fix, format string, args ...any) error {
		return license.Errorf(license.CodeConflict, fix, format, args...)
	}
	switch {
	case found.VendorID != vendor:
		return conflict("create the container with another serial number", "the container %s is another vendor's", found.Serial)
	case found.TmrGroupID != nil:
		return conflict("roll out to the group", "the container %s belongs to a TMR group", found.Serial)
	case !bytes.Equal(found.SignKey, f.Identity.Sign) || !bytes.Equal(found.SealKey, f.Identity.Seal):
		return conflict("create the container with another serial number, or re-host the lost one", "the container %s is there with other keys", found.Serial)
	case (found.CustomerID == nil) != (customer == nil) || (customer != nil && *found.CustomerID != *customer):
		return conflict("name the customer that it was registered for", "the container %s is another customer's", found.Serial)
	}
	return core.BlockedError(found)
}

// server finds or makes the container's license server.
func (w *provisioning) server(ctx context.Context, s ServerSpec, out *Registered) error {
	found, err := w.tx.TmrServer.Query().Where(tmrserver.ContainerID(out.Container.ID)).Only(ctx)
	switch {
	case err == nil && found.Name != s.Name:
		return license.Errorf(license.CodeConflict, "rotate its link token to move it", "the container %s has the license server %q already", out.Container.Serial, found.Name)
	case err == nil:
		out.Server = found
		return nil
	case !ent.IsNotFound(err):
		return err
	}
	token, hash, err := auth.NewToken(auth.LinkToken)
	if err != nil {
		return err
	}
	if out.Server, err = w.tx.TmrServer.Create().SetVendorID(w.vendor).SetNillableCustomerID(out.Container.CustomerID).
		SetContainerID(out.Container.ID).SetName(s.Name).SetAddress(s.Address).SetLinkTokenHash(hash).Save(ctx); err != nil {
		return err
	}
	out.Token = token
	w.p.core.PublishServer(ctx, w.tx, out.Server)
	w.made = append(w.made, out.Server.ID)
	return nil
}

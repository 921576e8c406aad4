package link

import (
	"context"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/seal"
)

// Container does the platform's work on one container outside of TMR groups,
// as backend 1 of 1. It is its clock too. The container stays the caller's.
type Container struct{ held *container.Container }

var (
	_ Executor = Container{}
	_ Clock    = Container{}
)

// NewContainer makes the executor for an open container.
func NewContainer(held *container.Container) Container { return Container{held} }

// Collect implements Executor: the fingerprint is at the first position.
func (c Container) Collect(_ context.Context, nonce []byte) (all [license.Backends][]byte, err error) {
	all[0], err = c.held.Fingerprint(nonce)
	return all, err
}

// Stage implements Executor. Updates before the last one are such as the
// container had once and has no more: they are installed. One that is passed
// already is left out.
func (c Container) Stage(_ context.Context, updates []*quoratev1.BackendUpdate) error {
	for i, u := range updates {
		if u.GetPosition() != 1 {
			return alone()
		}
		if i == len(updates)-1 {
			_, err := c.held.Stage(u.GetUpdate())
			return err
		}
		if _, err := c.install(u); err != nil && license.CodeOf(err) != license.CodeUpdateReplayed {
			return err
		}
	}
	return license.Errorf(license.CodeInvalidInput, "upgrade the platform", "there is no update to stage")
}

// Statements implements Executor: there are no others to state anything.
func (c Container) Statements(context.Context, int, []byte) (all [license.Backends][]byte, err error) {
	return all, alone()
}

// Activate implements Executor. An update that is installed gives its receipt
// again.
func (c Container) Activate(_ context.Context, position int, u *quoratev1.BackendUpdate) ([]byte, error) {
	if position != 1 {
		return nil, alone()
	}
	return c.install(u)
}

func (c Container) install(u *quoratev1.BackendUpdate) ([]byte, error) {
	if digest := seal.Digest(u.GetUpdate()); !slices.Equal(digest[:], u.GetDigest()) {
		return nil, license.Errorf(license.CodeUpdateTampered, "retry the rollout", "the update is not the one that its digest names")
	}
	staged, err := c.held.Stage(u.GetUpdate())
	if err != nil || staged.Installed {
		return staged.Receipt, err
	}
	return c.held.Activate(staged.Digest, nil)
}

// Verify implements Executor: the container holds what it is to serve, all of
// the time.
func (c Container) Verify(ctx context.Context, position int, expect map[license.Product]uint32, settle time.Duration) error {
	if position != 1 {
		return alone()
	}
	if err := c.serves(expect); err != nil {
		return err
	}
	if !sleep(ctx, settle) {
		return license.Errorf(license.CodeUnavailable, "retry the rollout", "the license server stops")
	}
	return c.serves(expect)
}

func (c Container) serves(expect map[license.Product]uint32) error {
	_, held := c.held.Licenses()
	for p, id := range expect {
		if !slices.ContainsFunc(held, func(h license.Held) bool { return h.Product == p && h.Options.TMRID == id }) {
			return license.Errorf(license.CodeUnavailable, "retry the rollout", "the container %s does not hold %s", c.held.Serial(), p)
		}
	}
	return nil
}

// Served gives what a license server over the container serves, by product.
func (c Container) Served() []Served {
	_, held := c.held.Licenses()
	return served(held, c.held.Use, c.held.Moment())
}

func served(held []license.Held, use func(license.Product) license.Use, at license.Moment) []Served {
	all := make([]Served, len(held))
	for i, h := range held {
		all[i] = Served{Product: h.Product, Name: h.Name, Quantity: h.Options.Quantity, FeatureMap: h.Options.FeatureMap}
		if h.Options.TMRID != 0 { // one container of a group gives nothing
			all[i].Reason = license.CodeTMROnly
		} else if err := h.Standing(use(h.Product), at).Err(); err != nil {
			all[i].Reason = license.CodeOf(err)
		}
	}
	slices.SortFunc(all, func(a, b Served) int { return a.Product.Compare(b.Product) })
	return all
}

func alone() error {
	return license.Errorf(license.CodeInvalidInput, "roll out to the container that this license server has", "this server has one container, and no TMR group")
}

// Moment implements Clock.
func (c Container) Moment() license.Moment { return c.held.Moment() }

// TimeNonces implements Clock.
func (c Container) TimeNonces() map[license.Serial][16]byte {
	return map[license.Serial][16]byte{c.held.Serial(): c.held.TimeNonce()}
}

// Certify implements Clock.
func (c Container) Certify(_ context.Context, _ license.Serial, certificate []byte) error {
	return c.held.Certify(certificate)
}

package licenseserver

import (
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// sign makes the token of what was granted; as tells what the grant doesn't.
func (s *Server) sign(g lease.Grant, as lease.Ref) ([]byte, error) {
	c := as.Client
	return s.token.Sign(seal.Token{
		Container: g.Pool.Container, Product: g.Pool.Product, Handle: g.Handle, Mode: g.Mode, Station: as.Station,
		Seat: g.Seat, Epoch: g.Epoch, N: g.N, Lease: g.Lease,
		ClientAddress: c.Address, ClientUser: c.User, ClientProcess: c.Process, ClientApplication: c.Application,
		IssuedAt: time.Now(), Licenses: as.Licenses, Borrowed: as.Borrowed, Tags: as.Tags,
	})
}

// ref names what was granted to a request.
func ref(g lease.Grant, r lease.Request) lease.Ref {
	return lease.Ref{
		Pool: g.Pool, Handle: g.Handle, Seat: g.Seat, Epoch: g.Epoch, N: g.N, Mode: g.Mode, Lease: g.Lease,
		Station: r.Station, Client: r.Client, Licenses: r.Wants(), Tags: r.Limits.Tags, Borrowed: r.Borrowed,
	}
}

// TokenSkew is how far apart the clocks of a group's servers may be. Two things
// depend on them: the token of a handle whose record the store lost brings it back
// until so long after its lease, and a server that doesn't lead believes a token
// until so long before its end. Of shorter leases it believes none.
const TokenSkew = 30 * time.Second

// open gives what a token names, or CodeTokenInvalid. Whether the handle lives
// the store knows. Where it has lost the record only the token tells, and one
// whose lifetime is over brings nothing back. It is alive where its lifetime has
// certainly not ended, wherever it was given.
func (s *Server) open(b []byte) (_ lease.Ref, alive bool, _ error) {
	t, err := s.token.Open(b)
	if err != nil {
		return lease.Ref{}, false, err
	}
	if t.Container != s.cfg.Source.Serial() {
		return lease.Ref{}, false, license.Errorf(license.CodeTokenInvalid,
			"use it with the server that gave it",
			"the handle belongs to container %s, and this server has %s", t.Container, s.cfg.Source.Serial())
	}
	life, age := t.Lease, time.Since(t.IssuedAt)
	if age > t.Lease+TokenSkew {
		life = 0
	}
	return lease.Ref{
		Pool: s.pool(t.Product), Handle: t.Handle, Seat: t.Seat, Epoch: t.Epoch, N: t.N,
		Mode: t.Mode, Station: t.Station, Lease: life, Licenses: t.Licenses, Tags: t.Tags, Borrowed: t.Borrowed,
		Client: lease.Client{
			Address: t.ClientAddress, User: t.ClientUser, Process: t.ClientProcess, Application: t.ClientApplication,
		},
	}, age > -TokenSkew && age+TokenSkew < t.Lease, nil
}

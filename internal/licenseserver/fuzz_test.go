package licenseserver

import (
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/seal"
)

// FuzzRequests gives the readers of what programs send anything that is a message
// by its form: they never panic, refuse with a code, and what they take every
// store takes and fits a token. A page token has one form.
func FuzzRequests(f *testing.F) {
	full := &quoratev1.AccessRequest{
		RequestId: "request-0001", Product: &quoratev1.Product{Firm: 6000010, Code: 14}, Mode: quoratev1.AccessMode_ACCESS_MODE_STATION_SHARE,
		Client:   &quoratev1.Client{Address: "pc-1", User: "ada", Process: 7, Application: "charts", Station: "pc-1"},
		Licenses: 4, WaitMs: 60_000, BorrowMs: 3_600_000, Version: "10.4", ReleaseDateUnix: 1 << 30, Features: 3,
	}
	for _, m := range []proto.Message{full, &quoratev1.AccessRequest{RequestId: "request-0002", Product: full.GetProduct()}} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("6000010:14/1700000000000000000/request-0001"))
	plain := license.Serial{Mask: license.MaskUniversal, Number: 5}
	s := &Server{cfg: Config{Source: serialSource{serial: plain}, Lease: DefaultLease, BorrowMost: 240 * time.Hour}, modes: []license.AccessMode{
		license.UserLimit, license.StationShare, license.Exclusive, license.NoUserLimit,
	}}
	signer := seal.NewSigner(make([]byte, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		taken := func(err error) bool {
			if license.CodeOf(err) == license.CodeInternal {
				t.Fatalf("an error without a code: %v", err)
			}
			return err == nil
		}
		if c, err := cursorFrom(string(b)); taken(err) && len(b) > 0 && c.String() != string(b) {
			t.Fatalf("the page token %q is %q", b, c)
		}
		taken(checkShown("text", string(b), mostNotice))
		m := new(quoratev1.AccessRequest)
		if proto.Unmarshal(b, m) != nil || !taken(checkID("request id", m.GetRequestId())) {
			return
		}
		q, err := s.questionFrom(m, connect.Peer{Addr: "192.0.2.1:4000"}, nil)
		wait, noWait := waitFrom(m.GetWaitMs())
		if !taken(err) || !taken(noWait) {
			return
		}
		r := s.request(m.GetRequestId(), q)
		r.Wait = wait
		if err := r.Check(plain); err != nil {
			t.Fatalf("no store takes %+v: %v", r, err)
		}
		token, err := seal.SignToken(signer, seal.Token{
			Container: plain, Product: q.product, Handle: r.ID, Mode: r.Mode, Station: r.Station, Seat: 1, Epoch: 1, N: 1, Lease: r.Lease,
			ClientAddress: r.Client.Address, ClientUser: r.Client.User, ClientApplication: r.Client.Application,
			IssuedAt: time.Now(), Licenses: r.Wants(), Borrowed: r.Borrowed,
		})
		if err != nil || len(token) > mostToken {
			t.Fatalf("no token for %+v: %v", r, err)
		}
		if _, err := rpc.ModeFrom(rpc.ModeProto(r.Mode)); err != nil {
			t.Fatal(err)
		}
	})
}

// serialSource is a source of nothing.
type serialSource struct {
	Source
	serial license.Serial
}

func (s serialSource) Serial() license.Serial { return s.serial }

func TestAddedByMode(t *testing.T) {
	share := func(station string, n uint32) lease.Handle {
		return lease.Handle{Grant: lease.Grant{Mode: license.StationShare, Licenses: n}, Station: station}
	}
	others := []lease.Handle{share("a", 2), share("a", 5), share("b", 1), {Grant: lease.Grant{Mode: license.UserLimit, Licenses: 9}, Station: "a"}}
	for _, c := range []struct {
		mode    license.AccessMode
		station string
		n, want uint32
	}{
		{license.UserLimit, "a", 3, 3}, {license.Exclusive, "c", 2, 2}, {license.NoUserLimit, "a", 7, 0},
		{license.StationShare, "a", 0, 0}, {license.StationShare, "a", 7, 2}, {license.StationShare, "b", 1, 0}, {license.StationShare, "c", 4, 4},
	} {
		r := lease.Request{Mode: c.mode, Station: c.station, Licenses: c.n}
		if got := added(r, others); got != c.want {
			t.Errorf("%s of %d on %s adds %d, want %d", c.mode, c.n, c.station, got, c.want)
		}
	}
}

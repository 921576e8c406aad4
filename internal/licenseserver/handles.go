package licenseserver

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// mostPage is how many handles one page has: as many as a message takes,
// whatever their texts.
const mostPage = 1000

// ListHandles gives a page of the living handles of one product or of all.
func (s *service) ListHandles(
	ctx context.Context, req *connect.Request[quoratev1.ListHandlesRequest],
) (*connect.Response[quoratev1.ListHandlesResponse], error) {
	products, err := s.productsOf(req.Msg.GetProduct())
	if err != nil {
		return nil, err
	}
	size := int(req.Msg.GetPageSize())
	if size == 0 {
		size = mostPage
	}
	if size > mostPage {
		return nil, invalid("ask for them by pages", "a page has at most %d handles, not %d", mostPage, size)
	}
	after, err := cursorFrom(req.Msg.GetPageToken())
	if err != nil {
		return nil, err
	}
	may := s.teller(req.Header(), req.Peer())
	out := &quoratev1.ListHandlesResponse{}
	err = s.under(ctx, func(ctx context.Context, t *term) error {
		for _, p := range products {
			if p.Compare(after.product) < 0 {
				continue
			}
			handles, age, err := s.pages.of(ctx, t, s.pool(p), p == after.product)
			if err != nil {
				return err
			}
			for _, h := range handles {
				if at := cursorOf(h); at.compare(after) <= 0 || req.Msg.GetTakesLicense() && h.Takes == 0 {
					continue
				}
				if len(out.Handles) == size {
					out.NextPageToken = after.String()
					s.pages.keep(t, p, handles)
					return nil
				}
				h.Remaining -= age
				out.Handles, after = append(out.Handles, handleInfo(h, may)), cursorOf(h)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

const (
	// pageTime is how long a list is kept for its next page, and mostPages of how
	// many products at once.
	pageTime  = 2 * time.Second
	mostPages = 4
)

// pages keep lists of which not all was told, so that a large one isn't read anew
// for each page.
type pages struct {
	mu   sync.Mutex
	kept map[license.Product]*pageList
}

type pageList struct {
	term    *term
	at      time.Time
	handles []lease.Handle
}

// of gives the handles of a pool; those of a moment ago where it goes on, and how
// long ago that was.
func (c *pages) of(ctx context.Context, t *term, pool lease.Pool, goesOn bool) ([]lease.Handle, time.Duration, error) {
	if goesOn {
		c.mu.Lock()
		l := c.kept[pool.Product]
		c.mu.Unlock()
		if l != nil && l.term == t {
			if age := time.Since(l.at); age < pageTime {
				return l.handles, age, nil
			}
		}
	}
	handles, err := t.seats.List(ctx, pool)
	return handles, 0, err
}

// keep has a list there for the next page.
func (c *pages) keep(t *term, p license.Product, handles []lease.Handle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.kept[p]; l != nil && l.term == t && time.Since(l.at) < pageTime {
		return
	}
	if c.kept == nil {
		c.kept = make(map[license.Product]*pageList)
	}
	if len(c.kept) >= mostPages && c.kept[p] == nil {
		return
	}
	l := &pageList{t, time.Now(), handles}
	c.kept[p] = l
	time.AfterFunc(pageTime, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.kept[p] == l {
			delete(c.kept, p)
		}
	})
}

// cursor is the last handle of a page. Handles go by product, first access and
// id, and what ends meanwhile moves no other.
type cursor struct {
	product license.Product
	first   int64 // access, in Unix nanoseconds
	id      string
}

func cursorOf(h lease.Handle) cursor {
	return cursor{h.Pool.Product, h.FirstAccess.UnixNano(), h.Handle}
}

func (c cursor) compare(d cursor) int {
	return cmp.Or(c.product.Compare(d.product), cmp.Compare(c.first, d.first), cmp.Compare(c.id, d.id))
}

func (c cursor) String() string {
	return c.product.String() + "/" + strconv.FormatInt(c.first, 10) + "/" + c.id
}

// cursorFrom reads a page token; the empty one stands before every handle.
func cursorFrom(s string) (c cursor, err error) {
	if s == "" {
		return c, nil
	}
	product, rest, _ := strings.Cut(s, "/")
	first, id, ok := strings.Cut(rest, "/")
	if c.product, err = license.ParseProduct(product); err == nil {
		c.first, err = strconv.ParseInt(first, 10, 64)
	}
	if c.id = id; err != nil || !ok || len(id) > lease.MostID || c.String() != s {
		return cursor{}, invalid("send what the page before gave", "the page token can't be read")
	}
	return c, nil
}

// productsOf gives one product, or all that this server has, in order.
func (s *service) productsOf(m *quoratev1.Product) ([]license.Product, error) {
	if m != nil {
		p, err := rpc.ProductFrom(m)
		return []license.Product{p}, err
	}
	offers := s.cfg.Source.Licenses()
	products := make([]license.Product, len(offers))
	for i, o := range offers {
		products[i] = o.Product
	}
	slices.SortFunc(products, license.Product.Compare)
	return products, nil
}

func handleInfo(h lease.Handle, may Disclosure) *quoratev1.HandleInfo {
	remaining := max(0, h.Remaining)
	m := &quoratev1.HandleInfo{
		Id:            h.Handle,
		Container:     h.Pool.Container.String(),
		Product:       rpc.ProductProto(h.Pool.Product),
		Mode:          rpc.ModeProto(h.Mode),
		Seat:          h.Seat,
		Client:        clientProto(h.Client, h.Station, may),
		Accesses:      h.Accesses,
		FirstAccessMs: h.FirstAccess.UnixMilli(),
		LastAccessMs:  h.LastAccess.UnixMilli(),
		RemainingMs:   remaining.Milliseconds(),
		Licenses:      max(h.Licenses, 1),
		Takes:         h.Takes,
		IdleMs:        idleFor(h).Milliseconds(),
		Borrowed:      h.Borrowed,
		ExpiresMs:     time.Now().Add(remaining).UnixMilli(),
		LeaseMs:       h.Lease.Milliseconds(),
	}
	if may == discloseAll {
		m.Tags = h.Tags
	}
	return m
}

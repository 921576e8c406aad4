package memlease

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// load reads everything, each value against its checksum.
func (j *journal) load(o Options) (groups map[license.Serial]*group, err error) {
	defer guard(&err, func(cause error) error { return corrupt(j.path, cause) })()
	groups = map[license.Serial]*group{}
	err = j.db.View(func(tx *bbolt.Tx) error {
		all := tx.Bucket(bucketGroups)
		if all == nil {
			return errors.New("it has no groups")
		}
		return all.ForEachBucket(func(name []byte) error {
			serial, err := license.ParseSerial(string(name))
			if err != nil {
				return err
			}
			g := newGroup(serial)
			groups[serial] = g
			return loadGroup(g, all.Bucket(name), o)
		})
	})
	if err != nil {
		return nil, corrupt(j.path, err)
	}
	return groups, nil
}

func loadGroup(g *group, b *bbolt.Bucket, o Options) error {
	read := func(bucket []byte, f func(key, content []byte) error) error {
		values := b.Bucket(bucket)
		if values == nil {
			return nil
		}
		return values.ForEach(func(key, value []byte) error {
			if len(value) < 4 || binary.BigEndian.Uint32(value) != sum(g.serial.String(), bucket, key, value[4:]) {
				return fmt.Errorf("a value in %s/%s does not match its checksum", g.serial, bucket)
			}
			return f(key, value[4:])
		})
	}
	return errors.Join(
		read(bucketEpoch, g.loadEpoch),
		read(bucketSeats, g.loadSeat),
		read(bucketHandles, g.loadHandle),
		read(bucketLingers, g.loadLinger),
		read(bucketEvents, func(k, v []byte) error { return g.loadEvent(k, v, o.MostEnded) }),
		g.loadFree(),
	)
}

func (g *group) loadEpoch(_, content []byte) error {
	var e storedEpoch
	err := decode(content, &e)
	g.epoch, g.position, g.visible = e.Epoch, e.Position, e.Position
	return err
}

func (g *group) loadSeat(key, content []byte) error {
	if len(key) != 12 || len(content) != 8 {
		return errors.New("a seat's record has the wrong length")
	}
	p := g.pool(license.Product{
		Firm: license.FirmCode(binary.BigEndian.Uint32(key)), Code: license.ProductCode(binary.BigEndian.Uint32(key[4:])),
	})
	p.n[binary.BigEndian.Uint32(key[8:])] = binary.BigEndian.Uint64(content)
	return nil
}

func (g *group) loadHandle(key, content []byte) error {
	var e storedHandle
	if err := decode(content, &e); err != nil {
		return err
	}
	first := time.Unix(0, e.First).UTC()
	h := &handle{
		id: string(key), product: license.Product{Firm: license.FirmCode(e.Firm), Code: license.ProductCode(e.Product)},
		mode: license.AccessMode(e.Mode), seat: e.Seat, n: e.N, lease: time.Duration(e.Lease), station: e.Station,
		client: lease.Client(e.Client), accesses: e.Accesses, first: first, last: first,
	}
	h.content = h.request(g.serial).Content()
	p := g.pool(h.product)
	if p.held[h.seat] != nil || p.n[h.seat] < h.n {
		return fmt.Errorf("the seat %d of %s contradicts its handle", h.seat, h.product)
	}
	g.put(h)
	return nil
}

func (g *group) loadLinger(key, content []byte) error {
	var e storedLinger
	if err := decode(content, &e); err != nil {
		return err
	}
	h := &handle{
		id: string(key), product: license.Product{Firm: license.FirmCode(e.Firm), Code: license.ProductCode(e.Product)},
		mode: license.AccessMode(e.Mode), seat: e.Seat, n: e.N, linger: time.Duration(e.Linger), station: e.Station,
		client: lease.Client(e.Client),
	}
	h.content = h.request(g.serial).Content()
	p := g.pool(h.product)
	if h.seat == 0 || h.linger <= 0 || g.handles[h.id] != nil || p.held[h.seat] != nil || p.n[h.seat] < h.n {
		return fmt.Errorf("the seat %d of %s contradicts its linger", h.seat, h.product)
	}
	g.keep(h)
	return nil
}

func (h *handle) request(group license.Serial) lease.Request {
	return lease.Request{
		ID: h.id, Pool: lease.Pool{Container: group, Product: h.product}, Mode: h.mode,
		Station: h.station, Client: h.client, Lease: h.lease,
	}
}

func (g *group) loadEvent(key, content []byte, mostEnded int) error {
	var e storedEvent
	if err := decode(content, &e); err != nil {
		return err
	}
	if len(key) != 8 {
		return errors.New("an event's position has the wrong length")
	}
	event := lease.Event{
		Position: binary.BigEndian.Uint64(key), Kind: lease.EventKind(e.Kind), At: time.Unix(0, e.At).UTC(),
		Handle: e.Handle,
		Pool: lease.Pool{Container: g.serial, Product: license.Product{
			Firm: license.FirmCode(e.Firm), Code: license.ProductCode(e.Product),
		}},
		Mode: license.AccessMode(e.Mode), Station: e.Station, Client: lease.Client(e.Client),
		Seat: e.Seat, N: e.N, Reason: license.Code(e.Reason), By: e.By,
	}
	g.events = append(g.events, event)
	g.position = max(g.position, event.Position)
	g.visible = g.position
	switch event.Kind {
	case lease.Released, lease.Expired, lease.Removed:
		g.remember(event.Handle, ended{
			kind: event.Kind, product: event.Pool.Product, content: request(event).Content(), n: event.N,
		}, mostEnded)
	}
	return nil
}

// loadFree finds the free seats once all handles are in.
func (g *group) loadFree() error {
	for _, p := range g.pools {
		p.high, p.free = 0, nil
		for seat := range p.n {
			p.high = max(p.high, seat)
		}
		if int(p.high) > len(p.n) {
			// Lost handles were taken in above seats that were never given.
			p.high = 0
			for p.n[p.high+1] != 0 {
				p.high++
			}
		}
		for seat := uint32(1); seat <= p.high; seat++ {
			if p.held[seat] == nil {
				p.free = append(p.free, seat) // ascending: a heap already
			}
		}
	}
	return nil
}

func decode(content []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

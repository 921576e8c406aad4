package memlease

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// The file: a bucket "journal" with the format's number, and in "groups" a
// bucket for each group, named by its serial, with four buckets: "epoch",
// "handles" by id, "seats" (n by product and seat), "events" by position.
// Every value is a CRC-32C over bucket, key and content, then the content.
const format = "1"

var (
	bucketJournal = []byte("journal")
	bucketGroups  = []byte("groups")
	bucketEpoch   = []byte("epoch")
	bucketHandles = []byte("handles")
	bucketSeats   = []byte("seats")
	bucketEvents  = []byte("events")
	keyFormat     = []byte("format")
	keyEpoch      = []byte("epoch")
)

// write is one change of the file: a nil value deletes.
type write struct {
	group       license.Serial
	bucket, key []byte
	value       []byte
}

type journal struct {
	path string
	db   *bbolt.DB
	// commit writes all or nothing; an error leaves open which. A field, so
	// that tests can make it fail.
	commit func([]write) error
}

type storedEpoch struct {
	Epoch    uint64 `json:"epoch"`
	Position uint64 `json:"position"`
	Owner    string `json:"owner"`
}

type storedClient struct {
	Address     string `json:"address,omitempty"`
	User        string `json:"user,omitempty"`
	Process     uint32 `json:"process,omitempty"`
	Application string `json:"application,omitempty"`
}

type storedHandle struct {
	Firm     uint32       `json:"firm"`
	Product  uint32       `json:"product"`
	Mode     string       `json:"mode"`
	Seat     uint32       `json:"seat"`
	N        uint64       `json:"n"`
	Lease    int64        `json:"lease"` // nanoseconds
	Station  string       `json:"station,omitempty"`
	Client   storedClient `json:"client"`
	Accesses uint32       `json:"accesses"`
	First    int64        `json:"first"` // Unix nanoseconds
}

type storedEvent struct {
	Kind    string       `json:"kind"`
	At      int64        `json:"at"` // Unix nanoseconds
	Handle  string       `json:"handle"`
	Firm    uint32       `json:"firm"`
	Product uint32       `json:"product"`
	Mode    string       `json:"mode"`
	Station string       `json:"station,omitempty"`
	Client  storedClient `json:"client"`
	Seat    uint32       `json:"seat,omitempty"`
	N       uint64       `json:"n,omitempty"`
	Reason  string       `json:"reason,omitempty"`
	By      string       `json:"by,omitempty"`
}

func epochWrite(g *group, owner string) write {
	return jsonWrite(g.serial, bucketEpoch, keyEpoch, storedEpoch{g.epoch, g.position, owner})
}

func handleWrite(g *group, h *handle) write {
	return jsonWrite(g.serial, bucketHandles, []byte(h.id), storedHandle{
		Firm: uint32(h.product.Firm), Product: uint32(h.product.Code), Mode: string(h.mode), Seat: h.seat, N: h.n,
		Lease: int64(h.lease), Station: h.station, Client: storedClient(h.client),
		Accesses: h.accesses, First: h.first.UnixNano(),
	})
}

func handleDelete(g *group, h *handle) write {
	return write{group: g.serial, bucket: bucketHandles, key: []byte(h.id)}
}

func seatWrite(g *group, h *handle) write { return nWrite(g.serial, h.product, h.seat, h.n) }

func nWrite(serial license.Serial, p license.Product, seat uint32, n uint64) write {
	key := binary.BigEndian.AppendUint32(nil, uint32(p.Firm))
	key = binary.BigEndian.AppendUint32(key, uint32(p.Code))
	key = binary.BigEndian.AppendUint32(key, seat)
	return checked(serial, bucketSeats, key, binary.BigEndian.AppendUint64(nil, n))
}

func eventWrite(g *group, e lease.Event) write {
	return jsonWrite(g.serial, bucketEvents, eventKey(e), storedEvent{
		Kind: string(e.Kind), At: e.At.UnixNano(), Handle: e.Handle,
		Firm: uint32(e.Pool.Product.Firm), Product: uint32(e.Pool.Product.Code), Mode: string(e.Mode),
		Station: e.Station, Client: storedClient(e.Client), Seat: e.Seat, N: e.N,
		Reason: string(e.Reason), By: e.By,
	})
}

func eventDelete(g *group, e lease.Event) write {
	return write{group: g.serial, bucket: bucketEvents, key: eventKey(e)}
}

func eventKey(e lease.Event) []byte { return binary.BigEndian.AppendUint64(nil, e.Position) }

func jsonWrite(serial license.Serial, bucket, key []byte, v any) write {
	b, err := json.Marshal(v)
	if err != nil {
		// The stored types have numbers and strings only.
		panic(err)
	}
	return checked(serial, bucket, key, b)
}

func checked(serial license.Serial, bucket, key, content []byte) write {
	value := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(content)), sum(serial.String(), bucket, key, content))
	return write{serial, bucket, key, append(value, content...)}
}

func sum(group string, bucket, key, content []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	c := crc32.Checksum([]byte(group), table)
	for _, b := range [][]byte{bucket, key, content} {
		c = crc32.Update(c, table, []byte{0})
		c = crc32.Update(c, table, b)
	}
	return c
}

func corrupt(path string, err error) error {
	return &license.Error{
		Code:    license.CodeJournalCorrupt,
		Message: fmt.Sprintf("the seat journal %s is damaged", path),
		Fix:     "keep the file for inspection, move it away and start again: programs then take their licenses anew",
		Err:     err,
	}
}

func openJournal(path string) (*journal, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createJournal(path); err != nil {
			return nil, lease.Unavailable(fmt.Errorf("making %s: %w", path, err))
		}
	} else if err != nil {
		return nil, lease.Unavailable(err)
	} else if info.Size() == 0 {
		// A journal gets its name when it is complete.
		return nil, corrupt(path, errors.New("the file is empty"))
	}
	j := &journal{path: path}
	if err := j.open(); err != nil {
		return nil, err
	}
	j.commit = j.update
	return j, nil
}

// open opens the file without changing it, and checks all of it. A damaged
// file makes bbolt panic or read past its end.
func (j *journal) open() (err error) {
	var file *os.File
	defer guard(&err, func(cause error) error {
		if file != nil {
			_ = file.Close()
		}
		return corrupt(j.path, cause)
	})()
	if err := j.precheck(); err != nil {
		return err
	}
	db, err := bbolt.Open(j.path, 0o600, &bbolt.Options{
		Timeout:      time.Second,
		FreelistType: bbolt.FreelistMapType,
		OpenFile: func(path string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(path, flag&^os.O_CREATE, mode)
			file = f
			return f, err
		},
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return inUse(j.path, err)
	case errors.Is(err, fs.ErrPermission):
		return lease.Unavailable(err)
	case err != nil:
		return corrupt(j.path, err)
	}
	if err := db.View(checkFormat); err != nil {
		_ = db.Close()
		if license.CodeOf(err) == license.CodeFormatUnknown {
			return err
		}
		return corrupt(j.path, err)
	}
	j.db = db
	return nil
}

func inUse(path string, err error) error {
	return &license.Error{
		Code:    license.CodeJournalInUse,
		Message: fmt.Sprintf("the seat journal %s is open in another process", path),
		Fix:     "stop the other server, or give this one a folder of its own",
		Err:     err,
	}
}

// precheck checks the pages while nobody has the file.
func (j *journal) precheck() error {
	f, err := os.Open(j.path)
	if err != nil {
		return lease.Unavailable(err)
	}
	defer f.Close()
	for deadline := time.Now().Add(time.Second); ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			return inUse(j.path, err)
		}
		<-time.After(20 * time.Millisecond)
	}
	info, err := f.Stat()
	if err != nil {
		return lease.Unavailable(err)
	}
	if err := checkPages(f, info.Size()); err != nil {
		return corrupt(j.path, err)
	}
	return nil
}

// guard turns a panic, or a read past the end of a mapped file, into an error.
func guard(err *error, wrap func(error) error) func() {
	old := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(old)
		if r := recover(); r != nil {
			*err = wrap(fmt.Errorf("bbolt: %v", r))
		}
	}
}

func checkFormat(tx *bbolt.Tx) error {
	b := tx.Bucket(bucketJournal)
	if b == nil {
		return errors.New("it is no seat journal")
	}
	if f := b.Get(keyFormat); string(f) != format {
		return license.Errorf(license.CodeFormatUnknown, "use the version of the program that wrote it, or a newer one",
			"the seat journal has the format %q, not %q", f, format)
	}
	info, err := os.Stat(tx.DB().Path())
	if err != nil {
		return err
	}
	if info.Size() < tx.Size() {
		return errors.New("the file is cut off")
	}
	var first error
	for err := range tx.Check() {
		if first == nil {
			first = err
		}
	}
	return first
}

// createJournal makes a complete file beside path and then gives it its name.
func createJournal(path string) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	tmp := f.Name()
	defer os.Remove(tmp)
	if err := f.Close(); err != nil {
		return err
	}
	db, err := bbolt.Open(tmp, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket(bucketJournal)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucket(bucketGroups); err != nil {
			return err
		}
		return b.Put(keyFormat, []byte(format))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	// Link fails where another process was faster; rename would replace its file.
	if err := os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (j *journal) close() error { return j.db.Close() }

// update writes all or nothing.
func (j *journal) update(writes []write) (err error) {
	defer guard(&err, func(cause error) error { return corrupt(j.path, cause) })()
	return j.db.Update(func(tx *bbolt.Tx) error {
		groups := tx.Bucket(bucketGroups)
		for _, w := range writes {
			g, err := groups.CreateBucketIfNotExists([]byte(w.group.String()))
			if err != nil {
				return err
			}
			b, err := g.CreateBucketIfNotExists(w.bucket)
			if err != nil {
				return err
			}
			if w.value == nil {
				err = b.Delete(w.key)
			} else {
				err = b.Put(w.key, w.value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

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

// Package pages reads the file of a bbolt database in memory without bbolt, which
// panics or reads astray over damaged pages. It trusts nothing of what it reads.
package pages

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
)

// What bbolt writes: numbers in the machine's byte order, pages of a fixed
// size, the first two of them meta pages.
const (
	pageHeader   = 16
	pageElement  = 16
	bucketHeader = 16
	metaSize     = 64
	metaMagic    = 0xED0CDAED
	metaVersion  = 2

	flagBranch = 1
	flagLeaf   = 2
	flagBucket = 1 // of a leaf's element

	mostDepth = 16
	noPage    = ^uint64(0)
)

// image is a bbolt file in memory, of which nothing is trusted.
type image struct {
	b    []byte
	size int      // of a page
	end  uint64   // the first page that is not in use
	seen []uint64 // bit set of the pages that the tree refers to
}

// Read gives the records of the one bucket that the file has. It fails if bbolt
// could stumble over anything that it would read of it.
func Read(b []byte, pageSize int, bucket string) (map[string][]byte, error) {
	if pageSize < 512 || pageSize > 1<<20 || pageSize&(pageSize-1) != 0 || len(b) < 2*pageSize {
		return nil, errors.New("the page size is impossible")
	}
	root, end, err := newestMeta(b, pageSize)
	if err != nil {
		return nil, err
	}
	if end < 2 || end > uint64(len(b)/pageSize) {
		return nil, fmt.Errorf("%d pages are in use, but the file has %d", end, len(b)/pageSize)
	}
	im := &image{b: b, size: pageSize, end: end, seen: make([]uint64, end/64+1)}
	var records map[string][]byte
	err = im.tree(root, nil, nil, 0, func(key, value []byte, isBucket bool) error {
		if !isBucket || string(key) != bucket || records != nil {
			return errors.New("there is something else beside the records")
		}
		records = make(map[string][]byte)
		return im.bucket(value, func(key, value []byte, isBucket bool) error {
			if isBucket {
				return errors.New("there is a bucket among the records")
			}
			records[string(key)] = bytes.Clone(value)
			return nil
		})
	})
	if err == nil && records == nil {
		err = errors.New("there are no records")
	}
	return records, err
}

// newestMeta gives what the meta page says that bbolt would go by.
func newestMeta(b []byte, pageSize int) (root, end uint64, err error) {
	var newest uint64
	found := false
	for i := range 2 {
		m := b[i*pageSize+pageHeader:][:metaSize]
		sum := fnv.New64a()
		_, _ = sum.Write(m[:metaSize-8])
		txid := binary.NativeEndian.Uint64(m[48:])
		switch {
		case binary.NativeEndian.Uint32(m) != metaMagic, binary.NativeEndian.Uint32(m[4:]) != metaVersion,
			binary.NativeEndian.Uint64(m[56:]) != sum.Sum64(), found && txid < newest:
			continue
		}
		if int64(binary.NativeEndian.Uint32(m[8:])) != int64(pageSize) {
			return 0, 0, errors.New("the meta pages disagree about the page size")
		}
		if binary.NativeEndian.Uint64(m[32:]) != noPage {
			return 0, 0, errors.New("there is a list of free pages")
		}
		found, newest = true, txid
		root, end = binary.NativeEndian.Uint64(m[16:]), binary.NativeEndian.Uint64(m[40:])
	}
	if !found {
		return 0, 0, errors.New("both meta pages are invalid")
	}
	return root, end, nil
}

// page gives a page with its overflow, the first time that it is referred to.
func (im *image) page(id uint64) ([]byte, error) {
	if id < 2 || id >= im.end {
		return nil, fmt.Errorf("page %d does not exist", id)
	}
	at := int(id) * im.size //nolint:gosec // G115: below end, which the file's length bounds
	over := uint64(binary.NativeEndian.Uint32(im.b[at+12:]))
	if binary.NativeEndian.Uint64(im.b[at:]) != id || over >= im.end-id {
		return nil, fmt.Errorf("page %d is not well formed", id)
	}
	for i := id; i <= id+over; i++ {
		if im.seen[i/64]&(1<<(i%64)) != 0 {
			return nil, fmt.Errorf("page %d is referred to twice", i)
		}
		im.seen[i/64] |= 1 << (i % 64)
	}
	return im.b[at : at+int(over+1)*im.size], nil //nolint:gosec // G115: as above
}

type visit func(key, value []byte, isBucket bool) error

// tree walks the pages below id, whose keys must lie from low up to high.
func (im *image) tree(id uint64, low, high []byte, depth int, f visit) error {
	if depth > mostDepth {
		return errors.New("the tree is too deep")
	}
	p, err := im.page(id)
	if err != nil {
		return err
	}
	if binary.NativeEndian.Uint16(p[8:]) != flagBranch {
		return leaf(p, low, high, f)
	}
	n := int(binary.NativeEndian.Uint16(p[10:]))
	keys, children := make([][]byte, n), make([]uint64, n)
	for i := range n {
		at := pageHeader + i*pageElement
		if at+pageElement > len(p) {
			return errors.New("a branch is longer than its page")
		}
		e := p[at:]
		keys[i], err = span(e, binary.NativeEndian.Uint32(e), binary.NativeEndian.Uint32(e[4:]))
		if err == nil {
			err = ordered(keys[i], low, high, i, keys)
		}
		if err != nil {
			return err
		}
		children[i] = binary.NativeEndian.Uint64(e[8:])
	}
	if n == 0 {
		return errors.New("a branch is empty")
	}
	for i := range n {
		next := high
		if i+1 < n {
			next = keys[i+1]
		}
		if err := im.tree(children[i], keys[i], next, depth+1, f); err != nil {
			return err
		}
	}
	return nil
}

func leaf(p, low, high []byte, f visit) error {
	if binary.NativeEndian.Uint16(p[8:]) != flagLeaf {
		return errors.New("a page is of another kind than expected")
	}
	n := int(binary.NativeEndian.Uint16(p[10:]))
	if pageHeader+n*pageElement > len(p) {
		return errors.New("a leaf is longer than its page")
	}
	keys := make([][]byte, n)
	for i := range n {
		e := p[pageHeader+i*pageElement:]
		flags := binary.NativeEndian.Uint32(e)
		pos, kn, vn := binary.NativeEndian.Uint32(e[4:]), binary.NativeEndian.Uint32(e[8:]), binary.NativeEndian.Uint32(e[12:])
		if flags > flagBucket {
			return errors.New("a record has unknown flags")
		}
		var err error
		if keys[i], err = span(e, pos, kn); err != nil {
			return err
		}
		if err := ordered(keys[i], low, high, i, keys); err != nil {
			return err
		}
		if uint64(pos)+uint64(kn)+uint64(vn) > uint64(len(e)) {
			return errors.New("a value lies outside its page")
		}
		if err := f(keys[i], e[pos+kn:][:vn], flags == flagBucket); err != nil {
			return err
		}
	}
	return nil
}

// span gives a key, whose position counts from its element.
func span(element []byte, pos, n uint32) ([]byte, error) {
	if n == 0 || uint64(pos)+uint64(n) > uint64(len(element)) {
		return nil, errors.New("a key is empty or lies outside its page")
	}
	return element[pos : pos+n], nil
}

func ordered(key, low, high []byte, i int, keys [][]byte) error {
	switch {
	case bytes.Compare(key, low) < 0, high != nil && bytes.Compare(key, high) >= 0, i > 0 && bytes.Compare(keys[i-1], key) >= 0:
		return errors.New("keys are out of order")
	}
	return nil
}

// bucket walks a bucket, which small ones carry in their value.
func (im *image) bucket(value []byte, f visit) error {
	if len(value) < bucketHeader {
		return errors.New("a bucket is too short")
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return im.tree(root, nil, nil, 0, f)
	}
	inline := value[bucketHeader:]
	// Such a page has no number and no overflow: bbolt would free the pages that
	// they name.
	if len(inline) < pageHeader || binary.NativeEndian.Uint64(inline) != 0 || binary.NativeEndian.Uint32(inline[12:]) != 0 {
		return errors.New("a bucket is not well formed")
	}
	return leaf(inline, nil, nil, f)
}

package boltfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// checkPages walks the pages of a bbolt file before bbolt does: it trusts its
// file, and a damaged page that points to itself would keep it busy for ever.
// Each page must lie in the file, be of the kind that is expected there, be
// reached once, and have its elements within itself.
func checkPages(file io.ReaderAt, size int64) error {
	meta, err := newestMeta(file, size)
	if err != nil {
		return err
	}
	w := &walker{file: file, size: size, meta: meta, seen: map[uint64]bool{0: true, 1: true}}
	if meta.freelist != ^uint64(0) {
		if err := w.freelist(meta.freelist); err != nil {
			return err
		}
	}
	return w.page(meta.root)
}

const (
	pageHeader   = 16
	pageBranch   = 0x01
	pageLeaf     = 0x02
	pageFreelist = 0x10
	leafBucket   = 0x01
)

type meta struct {
	pageSize                  int64
	root, freelist, high, txn uint64
}

// newestMeta reads the two meta pages and gives the intact one that is newer.
func newestMeta(file io.ReaderAt, size int64) (meta, error) {
	var best meta
	for _, pageSize := range []int64{0, 4096, 8192, 16384, 32768, 65536} {
		b := make([]byte, 64)
		if _, err := file.ReadAt(b, pageSize+pageHeader); err != nil {
			continue
		}
		h := fnv.New64a()
		h.Write(b[:56])
		if binary.NativeEndian.Uint32(b) != 0xED0CDAED || binary.NativeEndian.Uint64(b[56:]) != h.Sum64() {
			continue
		}
		m := meta{
			pageSize: int64(binary.NativeEndian.Uint32(b[8:])),
			root:     binary.NativeEndian.Uint64(b[16:]),
			freelist: binary.NativeEndian.Uint64(b[32:]),
			high:     binary.NativeEndian.Uint64(b[40:]),
			txn:      binary.NativeEndian.Uint64(b[48:]),
		}
		if (pageSize == 0 || m.pageSize == pageSize) && m.txn >= best.txn {
			best = m
		}
	}
	if best.pageSize < 1024 || best.high > uint64(size/best.pageSize) {
		return meta{}, errors.New("neither meta page is intact, or the file is cut off")
	}
	return best, nil
}

type walker struct {
	file io.ReaderAt
	size int64
	meta meta
	seen map[uint64]bool
}

// read reads a page with its overflow, and marks it as reached.
func (w *walker) read(id uint64) ([]byte, error) {
	if id >= w.meta.high {
		return nil, fmt.Errorf("page %d is out of the file", id)
	}
	head := make([]byte, pageHeader)
	if _, err := w.file.ReadAt(head, int64(id)*w.meta.pageSize); err != nil {
		return nil, err
	}
	pages := uint64(binary.NativeEndian.Uint32(head[12:])) + 1
	if binary.NativeEndian.Uint64(head) != id || pages > w.meta.high-id {
		return nil, fmt.Errorf("page %d has a wrong header", id)
	}
	for i := id; i < id+pages; i++ {
		if w.seen[i] {
			return nil, fmt.Errorf("page %d is reached twice", i)
		}
		w.seen[i] = true
	}
	b := make([]byte, int64(pages)*w.meta.pageSize)
	_, err := w.file.ReadAt(b, int64(id)*w.meta.pageSize)
	return b, err
}

func (w *walker) freelist(id uint64) error {
	b, err := w.read(id)
	if err != nil {
		return err
	}
	count, at := uint64(binary.NativeEndian.Uint16(b[10:])), uint64(pageHeader)
	if count == 0xFFFF {
		count, at = binary.NativeEndian.Uint64(b[at:]), at+8
	}
	if binary.NativeEndian.Uint16(b[8:]) != pageFreelist || count > (uint64(len(b))-at)/8 {
		return errors.New("the list of free pages is damaged")
	}
	for i := range count {
		if free := binary.NativeEndian.Uint64(b[at+8*i:]); free < 2 || free >= w.meta.high {
			return fmt.Errorf("free page %d is out of the file", free)
		}
	}
	return nil
}

func (w *walker) page(id uint64) error {
	b, err := w.read(id)
	if err != nil {
		return err
	}
	switch binary.NativeEndian.Uint16(b[8:]) {
	case pageBranch:
		return w.branch(id, b)
	case pageLeaf:
		return w.leaf(id, b, false)
	}
	return fmt.Errorf("page %d is of an unknown kind", id)
}

func (w *walker) branch(id uint64, b []byte) error {
	count := int(binary.NativeEndian.Uint16(b[10:]))
	if count == 0 || pageHeader+count*16 > len(b) {
		return fmt.Errorf("page %d has a wrong count", id)
	}
	for i := range count {
		e := b[pageHeader+i*16:]
		if !within(e, uint64(binary.NativeEndian.Uint32(e)), uint64(binary.NativeEndian.Uint32(e[4:]))) {
			return fmt.Errorf("page %d has an element beyond its end", id)
		}
		if err := w.page(binary.NativeEndian.Uint64(e[8:])); err != nil {
			return err
		}
	}
	return nil
}

// leaf checks a leaf page, or an inline bucket that has the form of one.
func (w *walker) leaf(id uint64, b []byte, inline bool) error {
	count := int(binary.NativeEndian.Uint16(b[10:]))
	if pageHeader+count*16 > len(b) {
		return fmt.Errorf("page %d has a wrong count", id)
	}
	for i := range count {
		e := b[pageHeader+i*16:]
		flags, pos := binary.NativeEndian.Uint32(e), uint64(binary.NativeEndian.Uint32(e[4:]))
		key, value := uint64(binary.NativeEndian.Uint32(e[8:])), uint64(binary.NativeEndian.Uint32(e[12:]))
		if flags > leafBucket || !within(e, pos, key+value) {
			return fmt.Errorf("page %d has an element beyond its end", id)
		}
		if flags != leafBucket {
			continue
		}
		v := e[pos+key : pos+key+value]
		if inline || len(v) < 16 {
			return fmt.Errorf("page %d has a damaged bucket", id)
		}
		root, inside := binary.NativeEndian.Uint64(v), v[16:]
		var err error
		switch {
		case root != 0:
			err = w.page(root)
		case len(inside) < pageHeader || binary.NativeEndian.Uint16(inside[8:]) != pageLeaf:
			err = fmt.Errorf("page %d has a damaged bucket", id)
		default:
			err = w.leaf(id, inside, true)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func within(b []byte, pos, length uint64) bool { return pos >= 16 && pos+length <= uint64(len(b)) }

package container

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
)

// Receipts gives the signed receipt of each firm's last installed update, by
// firm code: what the container has confirmed, for a platform that did not get
// it.
func (c *Container) Receipts() ([][]byte, error) {
	s, err := c.load()
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, firm := range slices.SortedFunc(maps.Keys(s.firms), cmp.Compare) {
		if i := s.firms[firm]; i.number != 0 {
			all = append(all, bytes.Clone(i.receipt))
		}
	}
	return all, nil
}

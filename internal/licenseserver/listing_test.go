package licenseserver

import (
	"fmt"
	"testing"
)

func TestTheLargestAreShown(t *testing.T) {
	all := map[string]uint32{}
	for i := range uint32(50) {
		all[fmt.Sprint("tag ", i)] = i
	}
	if got := largest(all, 50); len(got) != 50 {
		t.Errorf("%d of 50", len(got))
	}
	got := largest(all, 10)
	if len(got) != 10 || got["tag 49"] != 49 || got["tag 40"] != 40 {
		t.Errorf("%v", got)
	}
}

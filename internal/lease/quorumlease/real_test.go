package quorumlease_test

import (
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/journal/boltjournal"
	"github.com/quorate/quorate/internal/lease/leasetest"
	"github.com/quorate/quorate/internal/license"
)

func TestContractOnFiles(t *testing.T) {
	leasetest.Run(t, leasetest.Driver{OneLeader: true, Open: func(t *testing.T) leasetest.Harness {
		return open(t, newShelf(func(license.Serial, int) journal.Journal {
			j, err := boltjournal.Open(filepath.Join(t.TempDir(), "journal"))
			if err != nil {
				t.Error(err)
			}
			t.Cleanup(func() { _ = j.Close() })
			return j
		}))
	}})
}

package platform_test

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/core"
)

// needles are the forms in which a key could lie about: raw, hex, and Base64 at
// each of the three places that it can begin at.
func needles(key []byte) (all [][]byte) {
	all = append(all, key, []byte(hex.EncodeToString(key)), []byte(strings.ToUpper(hex.EncodeToString(key))),
		fmt.Appendf(nil, "%v", key))
	for pad := range 3 {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString(append(make([]byte, pad), key...))
			all = append(all, []byte(text[4:len(text)-4]))
		}
	}
	return all
}

func wantSecret(t *testing.T, where string, content []byte, keys ...[]byte) {
	t.Helper()
	for i, key := range keys {
		for _, needle := range needles(key) {
			if bytes.Contains(content, needle) {
				t.Errorf("%s has the key %d as %q", where, i, needle)
			}
		}
	}
}

// dump is all that the database has, as a plain copy of it would.
func dump(t *testing.T, db *sql.DB, names string, table string) []byte {
	t.Helper()
	ctx := auth.With(t.Context(), auth.System("dump"))
	var all bytes.Buffer
	rows, err := db.QueryContext(ctx, names)
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	if err := rows.Err(); err != nil || len(tables) < 20 {
		t.Fatalf("tables %v, %v", tables, err)
	}
	for _, name := range tables {
		rows, err := db.QueryContext(ctx, fmt.Sprintf(table, name))
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				t.Fatal(err)
			}
			for _, v := range values {
				switch v := (*v.(*any)).(type) {
				case []byte:
					all.Write(v)
				default:
					fmt.Fprintf(&all, "%v", v)
				}
				all.WriteByte('\n')
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return all.Bytes()
}

// TestFirmKeysStaySecret: a known key is imported, used, rotated away and
// refused in every way, and so is known data of an item. Neither it nor the
// key's successor is in a log, an error, an exported file or a plain copy of the
// database.
func TestFirmKeysStaySecret(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		var logs, errs bytes.Buffer
		master := make([]byte, core.MasterKeySize)
		master[0] = 1
		keys, err := core.NewMasterKey(master)
		if err != nil {
			t.Fatal(err)
		}
		p, err := platform.New(platform.Config{
			Store: l.Store(), Bus: event.NewLocal(), Keys: keys, Jobs: l.jobs,
			Logger: slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		if err != nil {
			t.Fatal(err)
		}
		p.CheapKeyFiles()
		failed := func(_ any, err error) {
			t.Helper()
			if err == nil {
				t.Error("it was not refused")
			}
			fmt.Fprintf(&errs, "%v %+v %#v\n", err, err, err)
			slog.New(slog.NewJSONHandler(&errs, nil)).Error("refused", "err", err)
		}
		canary := []byte("a firm's key of 32 bytes, canary")
		file := firstKey(t, int(product.Firm), canary)
		imported, err := p.ImportFirmKey(l.vendor(), product.Firm, file, passphrase)
		if err != nil {
			t.Fatal(err)
		}
		l.provision()
		fmt.Fprintf(&logs, "%v %+v %#v", imported.Firm, imported.Firm, imported.Firm.String())
		failed(p.ImportFirmKey(l.vendor(), product.Firm+1, file, passphrase))
		failed(p.ImportFirmKey(l.vendor(), product.Firm, file, "another passphrase"))
		failed(p.ImportFirmKey(l.vendor(), product.Firm, firstKey(t, int(product.Firm), canary[:31]), passphrase))
		failed(p.ImportFirmKey(l.vendor(), product.Firm, keyFile(t, map[string]any{
			"format": "quorate-firm-key", "version": 1, "firm": product.Firm, "name": "x", "seed": canary, "keys": []any{}, "x": canary,
		}), passphrase))
		failed(p.ImportFirmKey(l.with(auth.Viewer), product.Firm, file, passphrase))
		failed(p.RotateFirmKey(l.stranger(), imported.Firm.ID, 0))
		exported, err := p.ExportFirmKey(l.vendor(), imported.Firm.ID, passphrase)
		if err != nil {
			t.Fatal(err)
		}
		rotated, err := p.RotateFirmKey(l.vendor(), imported.Firm.ID, 1)
		if err != nil {
			t.Fatal(err)
		}
		failed(p.RotateFirmKey(l.vendor(), imported.Firm.ID, 1))
		failed(p.ImportFirmKey(l.vendor(), product.Firm, file, passphrase))
		other, _, _ := newPlatform(t, l.Store(), 9)
		failed(other.RotateFirmKey(l.vendor(), imported.Firm.ID, 0))
		failed(other.RewrapKeys(l.vendor(), mustKey(t, 8)))

		// Data of an item: made, changed, opened for an update, sealed anew, refused.
		readable, secret, earlier := []byte("protected data of an item, canary"), []byte("secret data of an item, canary"), []byte("earlier secret data, canary")
		spec := catalog.ItemSpec{Name: "With data", TMR: true, Options: license.Options{Quantity: 1}, Protected: readable, Secret: earlier}
		it, err := p.CreateItem(l.vendor(), product.String(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if it, err = p.UpdateItem(l.vendor(), it.ID, 1, func(s *catalog.ItemSpec) { s.Secret = secret }); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&logs, "%v %+v %#v %v", it, it, it.String(), spec)
		slog.New(slog.NewTextHandler(&logs, nil)).Info("item", "spec", spec, "item", it, "data", spec.Secret)
		slog.New(slog.NewJSONHandler(&logs, nil)).Info("item", "spec", spec, "item", it, "data", spec.Secret)
		withSecret := func(s *catalog.ItemSpec) { s.Secret = secret }
		failed(p.CreateItem(l.vendor(), product.String(), spec))
		failed(p.UpdateItem(l.vendor(), it.ID, 1, withSecret))
		failed(p.UpdateItem(l.with(auth.Viewer), it.ID, 2, withSecret))
		failed(p.UpdateItem(l.vendor(), it.ID, 2, func(s *catalog.ItemSpec) { s.Secret, s.Options.Linger = secret, -1 }))
		failed(p.UpdateItem(l.vendor(), it.ID, 2, func(s *catalog.ItemSpec) { s.Secret = bytes.Repeat(secret, license.MostData) }))
		failed(other.UpdateItem(l.vendor(), it.ID, 2, withSecret))

		successor, err := keys.Open(t.Context(), "firm:6000010", rotated.SealedKey)
		if err != nil {
			t.Fatal(err)
		}
		secrets := [][]byte{canary, successor, readable, secret, earlier}
		wantSecret(t, "a log", logs.Bytes(), secrets...)
		wantSecret(t, "an error", errs.Bytes(), secrets...)
		wantSecret(t, "the exported file", exported, secrets...)
		if len(errs.Bytes()) < 1000 || !bytes.Contains(errs.Bytes(), []byte(license.CodeKeyRefused)) {
			t.Errorf("the errors are\n%s", errs.Bytes())
		}

		db := l.Store().DB()
		var content []byte
		if l.Store().Dialect() == "postgres" {
			content = dump(t, db, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'", `SELECT * FROM %q`)
		} else {
			content = dump(t, db, "SELECT name FROM sqlite_master WHERE type = 'table'", `SELECT * FROM %q`)
			var seq int
			var name, path string
			if err := db.QueryRowContext(t.Context(), "PRAGMA database_list").Scan(&seq, &name, &path); err != nil {
				t.Fatal(err)
			}
			for _, end := range []string{"", "-wal"} { // what was overwritten too
				b, err := os.ReadFile(path + end)
				if err != nil {
					t.Fatal(err)
				}
				content = append(content, b...)
			}
		}
		if !bytes.Contains(content, rotated.PublicKey) || !bytes.Contains(content, rotated.SealedKey) ||
			!bytes.Contains(content, it.SecretData) {
			t.Fatal("the copy of the database is not one")
		}
		wantSecret(t, "the database", content, secrets...)
	})
}

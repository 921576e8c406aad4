package rulestools

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rules"
	"github.com/quorate/quorate/internal/usage"
)

// column is what a column of a file of grants holds. Names are compared without
// letter case, blanks, hyphens and underscores, so that exports of other programs
// are read, too.
var columns = map[string]string{
	"product": "product", "feature": "product",
	"user": "user", "username": "user",
	"host": "host", "client": "host", "computer": "host",
	"address": "address", "ip": "address",
	"application": "application", "program": "application",
	"station": "station", "mode": "mode",
	"licenses": "licenses", "quantity": "licenses",
	"asked": "asked", // in the platform's exports licenses are those that it took in the end
	"start": "start", "from": "start", "firstaccess": "start", "granted": "start",
	"end": "end", "until": "end", "endedat": "end", "released": "end",
	"id": "id", "handle": "id",
}

func readUsage(path string) ([]rules.Past, error) {
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, license.Errorf(license.CodeNotFound, "check its name and its path", "there is no file %s", path)
	}
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer f.Close()
	grants, err := bounded(f, mostUsage)
	if err != nil {
		return nil, prefixed(path, err)
	}
	return grants, nil
}

// bounded reads grants of at most so many bytes. Error: CodeTooLarge for more.
func bounded(r io.Reader, most int64) ([]rules.Past, error) {
	all := &io.LimitedReader{R: r, N: most + 1}
	grants, err := parseUsage(all)
	if all.N == 0 {
		return nil, license.Errorf(license.CodeTooLarge, "export a shorter time, or check at the platform with --place", "the file has more than %d MiB", most>>20)
	}
	return grants, err
}

func badUsage(line int, fix, format string, args ...any) error {
	return license.Errorf(license.CodeInvalidInput, fix, "line %d: %s", line, fmt.Sprintf(format, args...))
}

// parseUsage reads grants as CSV. Error: CodeInvalidInput with the line.
func parseUsage(r io.Reader) ([]rules.Past, error) {
	c := csv.NewReader(r)
	c.ReuseRecord = true
	head, err := c.Read()
	if err != nil {
		return nil, badUsage(1, "its first line names the columns: product,user,host,start,end", "this is no CSV file")
	}
	at := map[string]int{}
	for i, name := range head {
		name = strings.NewReplacer(" ", "", "_", "", "-", "", "\ufeff", "").Replace(strings.ToLower(name))
		if what, ok := columns[name]; ok {
			if _, twice := at[what]; !twice {
				at[what] = i
			}
		}
	}
	for _, needed := range []string{"product", "start"} {
		if _, ok := at[needed]; !ok {
			return nil, badUsage(1, "name the columns product, user, host, application, address, station, mode, licenses, start, end", "there is no column %s", needed)
		}
	}
	var grants []rules.Past
	for {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			return grants, nil
		}
		if err != nil {
			line := len(grants) + 2
			var bad *csv.ParseError
			if errors.As(err, &bad) {
				line = bad.Line
			}
			return nil, badUsage(line, "export it again", "this is no CSV")
		}
		line, _ := c.FieldPos(0)
		if len(grants) == mostGrants {
			return nil, badUsage(line, "check a shorter time", "more than %d grants", mostGrants)
		}
		g, err := pastOf(line, func(what string) string {
			i, ok := at[what]
			if !ok {
				return ""
			}
			return usage.Plain(row[i])
		})
		if err != nil {
			return nil, err
		}
		grants = append(grants, g)
	}
}

func pastOf(line int, field func(string) string) (g rules.Past, err error) {
	if g.Product, err = license.ParseProduct(field("product")); err != nil {
		return g, badUsage(line, "write it as FIRM:PRODUCT, for example 6000010:14", "%q is not a product", license.Clip(field("product"), 60))
	}
	if g.Start, err = instant(field("start")); err != nil || g.Start.IsZero() {
		return g, badUsage(line, "write it as 2026-10-01T08:00:00Z", "the start %q is not a time", license.Clip(field("start"), 60))
	}
	if g.End, err = instant(field("end")); err != nil {
		return g, badUsage(line, "write it as 2026-10-01T08:00:00Z, or leave it empty where it has not ended", "the end %q is not a time", license.Clip(field("end"), 60))
	}
	g.Mode = license.AccessMode(strings.ReplaceAll(strings.ToUpper(field("mode")), "-", "_"))
	if g.Mode == "" {
		g.Mode = license.UserLimit
	}
	if !g.Mode.Valid() {
		return g, badUsage(line, "write user-limit, station-share, exclusive or no-user-limit", "%q is not an access mode", license.Clip(field("mode"), 60))
	}
	if n := cmp.Or(field("asked"), field("licenses")); n != "" {
		licenses, err := strconv.ParseUint(n, 10, 32)
		if err != nil {
			return g, badUsage(line, "give a whole number", "%q licenses are not possible", license.Clip(n, 60))
		}
		g.Licenses = uint32(licenses)
	}
	g.ID, g.Station = field("id"), field("station")
	host := field("host")
	address := field("address")
	if address == "" {
		address = host
	}
	g.Ask = stated(field("user"), host, field("application"), address)
	return g, nil
}

func instant(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	var err error
	for _, layout := range []string{time.RFC3339Nano, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04"} {
		var t time.Time
		if t, err = time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, err
}

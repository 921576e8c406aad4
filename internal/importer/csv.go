package importer

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// The columns of the three sorts of files; docs/importing.md tells what is in
// them.
func customerColumns() []string { return []string{"customer"} }

func itemColumns() []string {
	return []string{"product", "item", "quantity", "tmr", "activation", "expiration", "usageDays", "units", "features",
		"maintenanceFrom", "maintenanceUntil", "minimumVersion", "text", "lingerSeconds"}
}

func orderColumns() []string {
	return []string{"customer", "product", "item", "quantity", "place", "reference", "key"}
}

// ParseCSV reads customers, items or orders: which of them, the header tells.
// Error: the header has no known set of columns, or the file is too large; a row
// that can't be read is a Problem.
func ParseCSV(file []byte) (Plan, error) {
	s, odd, err := text(file)
	if err != nil {
		return Plan{}, err
	}
	s, comma, before := separator(s)
	r := csv.NewReader(strings.NewReader(s))
	// Of tabs, leading ones are empty fields.
	r.Comma, r.FieldsPerRecord, r.TrimLeadingSpace, r.ReuseRecord = comma, -1, comma != '\t', true
	header, err := r.Read()
	if err != nil {
		return Plan{}, license.Errorf(license.CodeInvalidInput, "begin the file with the names of its columns", "the file has no header")
	}
	header = slices.Clone(header)
	c := &csvFile{plan: newPlan(), header: header}
	row, err := c.sort()
	if err != nil {
		return Plan{}, err
	}
	if odd {
		c.add(0, "the file", false, "look at names with letters beyond ASCII", "it is not UTF-8, and was read as Windows-1252")
	}
	for n := 0; ; n++ {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return c.done()
		}
		if n >= MostLines {
			return Plan{}, license.Errorf(license.CodeTooLarge, "take it in parts", "the file has more than %d rows", MostLines)
		}
		var broken *csv.ParseError
		if errors.As(err, &broken) {
			c.add(before+broken.StartLine, "the row", true, "put a field with quotation marks in quotation marks, and double those in it", "%v", broken.Err)
			if err := c.checked(); err != nil {
				return Plan{}, err
			}
			continue
		}
		if err != nil {
			return Plan{}, err
		}
		line, _ := r.FieldPos(0)
		c.read(before+line, fields, row)
	}
}

// separator tells what is between the fields, by the header; a line "sep=;"
// before it, as spreadsheets have it, is left out and counted.
func separator(s string) (rest string, comma rune, before int) {
	first, after, _ := strings.Cut(s, "\n")
	if sep, ok := strings.CutPrefix(strings.ToLower(strings.Trim(first, "\"\r")), "sep="); ok && len(sep) == 1 && strings.Contains(",;\t", sep) {
		return after, rune(sep[0]), 1
	}
	for _, c := range ",;\t" {
		if strings.ContainsRune(first, c) {
			return s, c, 0
		}
	}
	return s, ',', 0
}

type csvFile struct {
	*plan
	header []string
}

// row is a row by column.
type row map[string]string

// sort says how rows are read, by the header.
func (c *csvFile) sort() (func(int, row) string, error) {
	for i, h := range c.header {
		c.header[i] = strings.TrimSpace(h)
		for _, known := range slices.Concat(itemColumns(), orderColumns()) {
			if strings.EqualFold(c.header[i], known) {
				c.header[i] = known
			}
		}
		if slices.Index(c.header, c.header[i]) < i {
			return nil, license.Errorf(license.CodeInvalidInput, "give each column once", "the column %q is there twice", shown(c.header[i]))
		}
	}
	has := func(name string) bool { return slices.Contains(c.header, name) }
	read, known, needed := c.customerRow, customerColumns(), []string{"customer"}
	switch {
	case has("customer") && has("item"):
		read, known, needed = c.orderRow, orderColumns(), []string{"customer", "product", "item", "quantity"}
	case has("item"):
		read, known, needed = c.itemRow, itemColumns(), []string{"product", "item"}
		c.said = c.header
	}
	for _, n := range needed {
		if !has(n) {
			return nil, license.Errorf(license.CodeInvalidInput,
				fmt.Sprintf("customers have the columns %s; items %s; orders %s", strings.Join(customerColumns(), ", "), strings.Join(itemColumns(), ", "), strings.Join(orderColumns(), ", ")),
				"the column %q is missing", n)
		}
	}
	for _, h := range c.header {
		if !slices.Contains(known, h) {
			return nil, license.Errorf(license.CodeInvalidInput, "take the column out, or name it as one of "+strings.Join(known, ", "), "there is no column %q", shown(h))
		}
	}
	return read, nil
}

func (c *csvFile) read(line int, fields []string, as func(int, row) string) {
	what := shown(strings.Join(fields, ","))
	for n := len(fields); n > len(c.header) && strings.TrimSpace(fields[n-1]) == ""; n-- {
		fields = fields[:n-1]
	}
	if !slices.ContainsFunc(fields, func(f string) bool { return strings.TrimSpace(f) != "" }) {
		return // spreadsheets write empty rows below the last one
	}
	if len(fields) != len(c.header) {
		c.add(line, what, true, "", "it has %d fields, and the header %d", len(fields), len(c.header))
		return
	}
	r := row{}
	for i, h := range c.header {
		r[h] = strings.TrimSpace(fields[i])
	}
	if why := as(line, r); why != "" {
		c.add(line, what, true, "", "%s", why)
	}
}

func (c *csvFile) customerRow(line int, r row) string {
	if why := nameProblem(r["customer"]); why != "" {
		return "the customer's name can't be taken: " + why
	}
	c.customer(r["customer"], line)
	return ""
}

func (c *csvFile) itemRow(line int, r row) (why string) {
	i := Item{Name: r["item"], Text: r["text"], MinimumVersion: r["minimumVersion"], Line: line, Quantity: 1}
	if why := nameProblem(i.Name); why != "" {
		return "the item's name can't be taken: " + why
	}
	product, err := license.ParseProduct(r["product"])
	if err != nil {
		return fmt.Sprintf("%q is no product, such as 6000010:14", shown(r["product"]))
	}
	i.Product = product.String()
	fail := func(column, is string) string { return fmt.Sprintf("%s %q is no %s", column, shown(r[column]), is) }
	if n, ok := count(r["quantity"], 1, mostNumber); ok {
		i.Quantity = uint32(n)
	} else {
		return fail("quantity", fmt.Sprintf("number up to %d", mostNumber))
	}
	switch strings.ToLower(r["tmr"]) {
	case "", "no", "false", "0":
	case "yes", "true", "1":
		i.TMR = true
	default:
		return fail("tmr", "yes or no")
	}
	for _, t := range []struct {
		column string
		into   *time.Time
	}{{"activation", &i.Activation}, {"expiration", &i.Expiration}, {"maintenanceFrom", &i.MaintenanceFrom}, {"maintenanceUntil", &i.MaintenanceUntil}} {
		at, ok := moment(r[t.column])
		if !ok {
			return fail(t.column, "time, such as 2027-01-31 or 2027-01-31T12:00:00Z")
		}
		*t.into = at
	}
	days, ok := count(r["usageDays"], 0, 3650)
	if !ok {
		return fail("usageDays", "number up to 3650")
	}
	i.UsagePeriod = int64(days) * 24 * 3600
	linger, ok := count(r["lingerSeconds"], 0, 604_800)
	if !ok {
		return fail("lingerSeconds", "number up to 604800")
	}
	i.Linger = int64(linger)
	if r["units"] != "" {
		units, ok := count(r["units"], 0, license.MostUnits)
		if !ok {
			return fail("units", fmt.Sprintf("number up to %d", uint64(license.MostUnits)))
		}
		i.Units = &units
	}
	if r["features"] != "" {
		n, err := strconv.ParseUint(r["features"], 0, 32)
		if err != nil {
			return fail("features", "number of 32 bits, such as 5 or 0x5")
		}
		i.Features = uint32(n)
	}
	if c.item(i) {
		return "the item is there with other options"
	}
	return ""
}

func (c *csvFile) orderRow(line int, r row) string {
	o := Order{Customer: r["customer"], Item: r["item"], Place: r["place"], Reference: r["reference"], Line: line}
	if why := nameProblem(o.Customer); why != "" {
		return "the customer's name can't be taken: " + why
	}
	if why := nameProblem(o.Item); why != "" {
		return "the item's name can't be taken: " + why
	}
	for _, s := range []string{o.Place, o.Reference, r["key"]} {
		if s != "" && nameProblem(s) != "" {
			return fmt.Sprintf("%q can't be taken: %s", shown(s), nameProblem(s))
		}
	}
	product, err := license.ParseProduct(r["product"])
	if err != nil {
		return fmt.Sprintf("%q is no product, such as 6000010:14", shown(r["product"]))
	}
	o.Product = product.String()
	n, ok := count(r["quantity"], 0, mostNumber)
	if !ok || n == 0 {
		return fmt.Sprintf("quantity %q is no number of 1 to %d", shown(r["quantity"]), mostNumber)
	}
	o.Quantity = uint32(n)
	if key := r["key"]; key != "" {
		if c.keys["k"+key]++; c.keys["k"+key] > 1 {
			return "its key was there before"
		}
		o.Key = "csv:" + key
	} else { // the same row again is another order, the same file again is not
		sum := sha256.Sum256([]byte(strings.Join([]string{o.Customer, o.Product, o.Item, strconv.FormatUint(n, 10), o.Place, o.Reference}, "\x00")))
		digest := hex.EncodeToString(sum[:16])
		c.keys["d"+digest]++
		o.Key = fmt.Sprintf("csv:%s:%d", digest, c.keys["d"+digest])
	}
	if len(o.Key) > mostKey {
		return fmt.Sprintf("its key is longer than %d bytes", mostKey-len("csv:"))
	}
	c.customer(o.Customer, line)
	c.Orders = append(c.Orders, o)
	return ""
}

// count reads a number; an empty text is as otherwise.
func count(s string, otherwise, most uint64) (uint64, bool) {
	if s == "" {
		return otherwise, true
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil && n <= most
}

// moment reads a day, or a time; an empty text is none.
func moment(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, true
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, s); err == nil {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}

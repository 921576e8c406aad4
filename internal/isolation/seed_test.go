package isolation_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/schema/field"
	"github.com/google/uuid"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/migrate"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// rowsPerTable: the first row of a table is for a TMR group and of the vendor's
// general catalog, the second one for a container and of the customer's.
const rowsPerTable = 2

// tenants are a vendor and its customer, with rows in every table of tenants.
type tenants struct {
	mark             string
	vendor, customer string
	rows             map[string][]row // by table
	// secrets are what the database has the digest of at most, by name.
	secrets map[string]string
}

type row map[string]any

// id is "" for rows that are only numbered.
func (r row) id() string {
	id, _ := r["id"].(string)
	return id
}

// canary is a text that is nowhere but in one column of one row.
type canary struct{ table, id, column string }

// seeder makes rows for ent's tables, whatever these are.
type seeder struct {
	t        testing.TB
	store    *store.Store
	types    map[string]reflect.Type // ent's struct by table
	prefixes map[string]string       // of global ids, by entity
	next     int
	canaries map[string]canary
	password string // the hash of one
	keys     keyring
}

// sold is what a vendor's customers may see where it is for none of them.
//
//nolint:gochecknoglobals // never changed
var sold = []string{"firms", "firm_keys", "products", "items"}

// marks finds whatever a seeder has made up, in any text.
var marks = regexp.MustCompile(`qzx[0-9a-z]{8}|13[01]-9[0-9]{8}|[a-z]{3}_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}|` +
	`[0-9A-Z]{5}(?:-[0-9A-Z]{5}){4}|qr[ilt]_[0-9A-Za-z_-]{43}|whsec_[0-9A-Za-z+/=]+`)

// left out are tables of the platform alone, and what signs in.
var leftOut = []string{"sessions", "platform_keys", "usage_kepts"}

func newSeeder(t testing.TB, s *store.Store) *seeder {
	t.Helper()
	out := &seeder{t: t, store: s, types: map[string]reflect.Type{}, prefixes: map[string]string{}, canaries: map[string]canary{}}
	out.keys.identities = map[string]*seal.Identity{}
	wrapper, err := core.NewMasterKey(make([]byte, core.MasterKeySize))
	if err != nil {
		t.Fatal(err)
	}
	out.keys.wrapper = wrapper
	client := reflect.TypeOf(s.Client()).Elem()
	for i := range client.NumField() {
		get, ok := client.Field(i).Type.MethodByName("Get")
		if !ok || !client.Field(i).IsExported() {
			continue
		}
		entity := get.Type.Out(0).Elem()
		for _, table := range migrate.Tables {
			if same(table.Name, entity.Name()) {
				out.types[table.Name] = entity
			}
		}
	}
	files, err := filepath.Glob("../../ent/schema/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("ent's schema: %v", err)
	}
	mixin := regexp.MustCompile(`func \((\w+)\) Mixin\(\) .*identified\{prefix: "(\w+)"\}`)
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range mixin.FindAllStringSubmatch(string(content), -1) {
			out.prefixes[m[1]] = m[2]
		}
	}
	return out
}

// same says whether a table is an entity's.
func same(table, entity string) bool {
	name := strings.ReplaceAll(table, "_", "")
	for _, plural := range []string{entity, entity + "s", entity + "es", strings.TrimSuffix(entity, "y") + "ies"} {
		if strings.EqualFold(name, plural) {
			return true
		}
	}
	return false
}

func system(ctx context.Context) context.Context { return auth.With(ctx, auth.System("test")) }

// globalID is the n-th id of an entity for a mark; made-up ones are the same
// with another mark.
func (s *seeder) globalID(table, mark string, n int) string {
	sum := sha256.Sum256(fmt.Append(nil, table, mark, n))
	id := uuid.UUID(sum[:16])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	prefix, ok := s.prefixes[s.types[table].Name()]
	if !ok {
		return id.String()
	}
	return prefix + "_" + id.String()
}

// text is a canary that a column of size can have.
func (s *seeder) text(of canary, size int64) string {
	s.next++
	sum := sha256.Sum256(fmt.Append(nil, of, s.next))
	n := binary.BigEndian.Uint64(sum[:])
	text := fmt.Sprintf("qzx%08s", fmt.Sprintf("%08x", uint32(n)))
	switch {
	case strings.HasSuffix(of.column, "serial"):
		text = fmt.Sprintf("130-9%08d", n%100_000_000)
	case strings.Contains(of.column, "email"):
		s.canaries[text] = of
		return text + "@x.test"
	case strings.HasSuffix(of.column, "url"):
		s.canaries[text] = of
		return "https://" + text + ".example.com/"
	case size > 0 && size < 11:
		return text[11-size:] // too short to be told from chance
	}
	s.canaries[text] = of
	return text
}

// seed makes the two tenants of a mark, and a row of each table for them. With a
// provider the vendor is a customer, too.
func (s *seeder) seed(ctx context.Context, mark, provider string) *tenants {
	s.t.Helper()
	w := &tenants{mark: mark, rows: map[string][]row{}, secrets: map[string]string{}}
	w.vendor, w.customer = s.globalID("organizations", mark, 0), s.globalID("organizations", mark, 1)
	for i, id := range []string{w.vendor, w.customer} {
		r := row{
			"id": id, "created_at": time.Now().UTC(), "name": s.text(canary{"organizations", id, "name"}, 200), "vendor": i == 0, "customer": i == 1,
		}
		if i == 1 {
			r["provider_id"] = w.vendor
		} else if provider != "" {
			r["provider_id"], r["customer"] = provider, true
		}
		s.real(ctx, w, "organizations", i, r)
		s.insert(ctx, w, "organizations", r)
	}
	done := map[string]bool{"organizations": true}
	// What may be null waits too, unless that makes a circle.
	for patient := true; len(done) < len(migrate.Tables); {
		before := len(done)
		for _, table := range migrate.Tables {
			if done[table.Name] || !s.ready(table, done, patient) {
				continue
			}
			done[table.Name] = true
			for i := range rowsOf(table.Name) {
				if !slices.Contains(leftOut, table.Name) {
					r := s.row(w, table, i)
					s.real(ctx, w, table.Name, i, r)
					s.figures(w, table, r)
					s.insert(ctx, w, table.Name, r)
				}
			}
			patient = true
			break
		}
		if len(done) == before {
			if !patient {
				s.t.Fatalf("%s: no order of tables by their references", mark)
			}
			patient = false
		}
	}
	return w
}

// The figures of a victim's rows are in a range that nobody else's are in, so
// that they show in sums, too.
const figuresFrom, figuresTo = 900_000, 4_000_000

// figures makes what is counted in a row the victim's.
func (s *seeder) figures(w *tenants, table *schema.Table, r row) {
	if w.mark != "victim" || slices.Contains(sold, table.Name) || table.Name == "ticket_lines" {
		return
	}
	for _, c := range table.Columns {
		if slices.Contains(counted, c.Name) && c.Type.Numeric() && r[c.Name] != nil {
			s.next++
			r[c.Name] = figuresFrom + s.next
		}
	}
}

// counted are columns that are summed up and counted by.
//
//nolint:gochecknoglobals // never changed
var counted = []string{"taken", "quantity", "users", "stations", "granted", "released", "expired", "removed", "denied", "most_taken", "most_quantity",
	"distinct_users", "distinct_stations", "open_taken", "open_quantity", "open_users", "open_stations", "clients", "accesses", "licenses", "asked", "latency", "links"}

func rowsOf(table string) int {
	if table == "containers" {
		return containersOf
	}
	return rowsPerTable
}

// ready says whether the tables are there that each row of table needs, and
// with all those that it may refer to.
func (s *seeder) ready(table *schema.Table, done map[string]bool, all bool) bool {
	for _, fk := range table.ForeignKeys {
		if (all || !fk.Columns[0].Nullable) && fk.RefTable != table && !done[fk.RefTable.Name] {
			return false
		}
	}
	return true
}

func (s *seeder) row(w *tenants, table *schema.Table, i int) row {
	refs := map[string]string{}
	for _, fk := range table.ForeignKeys {
		refs[fk.Columns[0].Name] = fk.RefTable.Name
	}
	r := row{}
	if len(table.PrimaryKey) == 1 && table.PrimaryKey[0].Type == field.TypeString {
		r["id"] = s.globalID(table.Name, w.mark, i)
	}
	shared := slices.ContainsFunc(table.Columns, func(c *schema.Column) bool { return c.Name == "customer_id" })
	for _, c := range table.Columns {
		of := canary{table.Name, r.id(), c.Name}
		switch {
		case c.Name == "id":
		case c.Name == "vendor_id":
			r[c.Name] = w.vendor
		case c.Name == "customer_id":
			if !slices.Contains(sold, table.Name) || i == 1 {
				r[c.Name] = w.customer
			}
		case c.Name == "organization_id":
			r[c.Name] = []string{w.vendor, w.customer}[i]
			if shared {
				r[c.Name] = w.vendor
			}
		case table.Annotation != nil && table.Annotation.Checks["one_place"] != "" && c.Name == []string{"container_id", "tmr_group_id"}[i]:
		case refs[c.Name] != "":
			if there := w.rows[refs[c.Name]]; len(there) > 0 {
				r[c.Name] = there[min(i, len(there)-1)]["id"]
			}
		case c.Name == "password_hash":
			if i == 0 {
				r[c.Name] = s.password
			}
		case c.Nullable && c.Type != field.TypeString && c.Type != field.TypeJSON && c.Type != field.TypeBytes:
		default:
			r[c.Name] = s.value(of, c, i)
		}
	}
	return r
}

func (s *seeder) value(of canary, c *schema.Column, i int) any {
	s.next++
	switch c.Type {
	case field.TypeString:
		return s.text(of, c.Size)
	case field.TypeEnum:
		return c.Enums[i%len(c.Enums)]
	case field.TypeBool:
		return c.Default == true
	case field.TypeTime:
		return time.Now().UTC().Add(time.Hour).Truncate(time.Microsecond)
	case field.TypeBytes:
		sum := sha256.Sum256(fmt.Append(nil, of, s.next))
		return sum[:min(len(sum), cap32(c.Size))]
	case field.TypeJSON:
		v := reflect.New(s.jsonType(of)).Elem()
		s.fill(of, v, 0)
		text, err := json.Marshal(v.Interface())
		if err != nil {
			s.t.Fatalf("%s.%s: %v", of.table, of.column, err)
		}
		return string(text)
	case field.TypeFloat64, field.TypeFloat32:
		return 1.0
	}
	if !c.Type.Numeric() {
		s.t.Fatalf("%s.%s: no value for a %s", of.table, of.column, c.Type)
	}
	if c.Default != nil {
		return c.Default
	}
	return 1000 + s.next
}

func cap32(size int64) int {
	if size <= 0 || size > 32 {
		return 32
	}
	return int(size)
}

// jsonType is the Go type of a column with JSON.
func (s *seeder) jsonType(of canary) reflect.Type {
	entity := s.types[of.table]
	for i := range entity.NumField() {
		if f := entity.Field(i); strings.EqualFold(f.Name, strings.ReplaceAll(of.column, "_", "")) {
			return f.Type
		}
	}
	s.t.Fatalf("%s.%s: ent has no such field", of.table, of.column)
	return nil
}

// fill puts something everywhere in v, canaries into its texts.
func (s *seeder) fill(of canary, v reflect.Value, depth int) {
	if depth > 4 || v.Kind() != reflect.Struct && v.Type().Implements(reflect.TypeFor[json.Marshaler]()) {
		return
	}
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Now().UTC().Truncate(time.Second)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		if values := v.MethodByName("Values"); values.IsValid() {
			v.SetString(values.Call(nil)[0].Index(0).String())
			return
		}
		v.SetString(s.text(of, 0))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.Slice:
		one := reflect.New(v.Type().Elem()).Elem()
		s.fill(of, one, depth+1)
		v.Set(reflect.Append(v, one))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		s.fill(of, v.Elem(), depth+1)
	case reflect.Map:
		if v.Type().Key().Kind() == reflect.String {
			one := reflect.New(v.Type().Elem()).Elem()
			s.fill(of, one, depth+1)
			v.Set(reflect.MakeMap(v.Type()))
			v.SetMapIndex(reflect.ValueOf(s.text(of, 0)).Convert(v.Type().Key()), one)
		}
	case reflect.Interface:
		if v.NumMethod() == 0 {
			v.Set(reflect.ValueOf(s.text(of, 0)))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				s.fill(of, v.Field(i), depth+1)
			}
		}
	}
}

// insert adds a row as it is, past ent and its guard.
func (s *seeder) insert(ctx context.Context, w *tenants, table string, r row) {
	s.t.Helper()
	if err := s.put(ctx, table, r); err != nil {
		s.t.Fatalf("a row of %s: %v", table, err)
	}
	if r.id() == "" {
		var id int64
		if err := s.store.DB().QueryRowContext(system(ctx), fmt.Sprintf("SELECT max(id) FROM %q", table)).Scan(&id); err != nil {
			s.t.Fatal(err)
		}
		r["id"] = id
	} else {
		s.canaries[r.id()] = canary{table, r.id(), "id"}
	}
	w.rows[table] = append(w.rows[table], r)
}

func (s *seeder) put(ctx context.Context, table string, r row) error {
	var names, places []string
	var values []any
	for name, v := range r {
		values = append(values, v)
		names, places = append(names, fmt.Sprintf("%q", name)), append(places, fmt.Sprintf("$%d", len(values)))
	}
	var anew []string
	for _, name := range names {
		anew = append(anew, name+" = excluded."+name)
	}
	_, err := s.store.DB().ExecContext(system(ctx), fmt.Sprintf("INSERT INTO %q (%s) VALUES (%s) ON CONFLICT (id) DO UPDATE SET %s",
		table, strings.Join(names, ", "), strings.Join(places, ", "), strings.Join(anew, ", ")), values...)
	return err
}

// visible are w's rows that are for an organization to see, said here apart from
// the guard: its own, its customers themselves, and the vendor's general catalog
// for the vendor's customers.
func visible(w *tenants, organization, provider string) map[string]bool {
	all := map[string]bool{}
	for table, rows := range w.rows {
		for _, r := range rows {
			own := r["id"] == organization || r["organization_id"] == organization || r["customer_id"] == organization || r["vendor_id"] == organization ||
				r["provider_id"] == organization
			general := slices.Contains(sold, table) && r["customer_id"] == nil && r["vendor_id"] == provider
			if own || general {
				all[fmt.Sprint(table, " ", r["id"])] = true
			}
		}
	}
	return all
}

// TestSeedIsWhole: every table of tenants has rows that ent can read.
func TestSeedIsWhole(t *testing.T) {
	w := newWalk(t, setting{})
	client := reflect.ValueOf(w.store.Client()).Elem()
	for table, rows := range w.victim.rows {
		query := client.FieldByName(w.seed.types[table].Name()).MethodByName("Query").Call(nil)[0]
		out := query.MethodByName("All").Call([]reflect.Value{reflect.ValueOf(system(t.Context()))})
		if err, _ := out[1].Interface().(error); err != nil || out[0].Len() < 2*rowsPerTable || len(rows) != rowsOf(table) {
			t.Errorf("%s: %d rows, %v", table, out[0].Len(), err)
		}
	}
	if got, want := len(w.victim.rows), len(migrate.Tables)-len(leftOut); got != want {
		t.Errorf("%d tables instead of %d", got, want)
	}
	texts := map[string]int{}
	for _, of := range w.seed.canaries {
		texts[of.table]++
	}
	for _, table := range migrate.Tables {
		for _, c := range table.Columns {
			if c.Type == field.TypeString && c.Name != "id" && texts[table.Name] == 0 && w.seed.types[table.Name] != reflect.TypeFor[ent.Session]() &&
				!slices.Contains(leftOut, table.Name) {
				t.Errorf("%s has no canary", table.Name)
			}
		}
	}
}

// TestChangesAreObserved: the walk would notice a change of any row of the
// victim's, and a text of it in an answer.
func TestChangesAreObserved(t *testing.T) {
	w := newWalk(t, setting{})
	for table, rows := range w.victim.rows {
		if _, err := w.store.DB().ExecContext(system(t.Context()), fmt.Sprintf("UPDATE %q SET id = id", table)); err != nil {
			t.Fatal(err)
		}
		if got := w.observed(); len(got) != len(rows) || !slices.Contains(got, fmt.Sprint("UPDATE ", table, " ", rows[0]["id"])) {
			t.Errorf("%s: %v", table, got)
		}
	}
	if got := w.observed(); len(got) != 0 {
		t.Errorf("observed twice: %v", got)
	}
	name := w.victim.rows["tmr_groups"][0]["name"].(string)
	if of := w.seed.canaries[marks.FindString(`{"name":"`+name+`"}`)]; of.table != "tmr_groups" || of.column != "name" {
		t.Errorf("the text %q is of %v", name, of)
	}
}

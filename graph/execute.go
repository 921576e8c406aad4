package graph

import (
	"context"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// What the generated code executes objects with, in the place of gqlgen's field
// sets: a field that a row merely holds is written at once, without a context, a
// goroutine or a closure of its own. internal/tools/graphgen says which those are.

// collectedField is a field as a selection asks for it, with what its name is
// written as.
type collectedField struct {
	graphql.CollectedField
	key string
}

// collected keeps what an operation's selections ask for, by type, and the
// arguments of their fields, which nobody changes.
type collected struct {
	mu   sync.RWMutex
	sets map[selection][]collectedField
	args map[*ast.Field]map[string]any
}

func (c *collected) arguments(f *ast.Field) map[string]any {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.args[f]
}

func (c *collected) keepArguments(f *ast.Field, args map[string]any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.args == nil {
		c.args = map[*ast.Field]map[string]any{}
	}
	c.args[f] = args
}

// selection is one of the operation's, which doesn't change while it is executed.
type selection struct {
	first  *ast.Selection
	length int
	object string
}

func (ec *executionContext) collect(object string, sel ast.SelectionSet, satisfies []string) []collectedField {
	if len(sel) == 0 {
		return nil
	}
	key := selection{&sel[0], len(sel), object}
	c := &ec.collected
	c.mu.RLock()
	fields, ok := c.sets[key]
	c.mu.RUnlock()
	if ok {
		return fields
	}
	all := graphql.CollectFields(ec.OperationContext, sel, satisfies)
	fields = make([]collectedField, 0, len(all))
	names := make(map[string]bool, len(all))
	for _, f := range all {
		if !names[f.Alias] { // a name is written once
			names[f.Alias] = true
			fields = append(fields, collectedField{f, `"` + f.Alias + `":`})
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sets == nil {
		c.sets = map[selection][]collectedField{}
	}
	c.sets[key] = fields
	return fields
}

// object is one of the answer while its fields are executed, and afterwards.
type object struct {
	ec     *executionContext
	fields []collectedField
	// written are the fields that are JSON already, each with a comma behind it;
	// values are the others, in order, and stand between those.
	written []byte
	values  []value
	delayed []delayed
	// invalid counts fields that must have a value and have none.
	invalid  atomic.Uint32
	deferred *deferred
	first    [2]value // room for the values of most objects
}

// value is that of a field; at is where in the object's written bytes it stands.
type value struct {
	at, field int
	graphql.Marshaler
}

// delayed is a field that is executed beside others.
type delayed struct {
	value    int
	required bool
	execute  func(context.Context) graphql.Marshaler
}

// deferred are the fields that the operation asks for later.
type deferred struct {
	set   *graphql.FieldSet
	views map[string]*graphql.FieldSetView
}

func (ec *executionContext) object(name string, sel ast.SelectionSet, satisfies []string) *object {
	o := &object{ec: ec, fields: ec.collect(name, sel, satisfies)}
	o.values = o.first[:0]
	return o
}

// writtenSize is enough for most objects.
const writtenSize = 64

func (o *object) begin(i int) {
	if o.written == nil {
		o.written = make([]byte, 0, writtenSize*(1+len(o.fields)/4))
	}
	o.written = append(o.written, o.fields[i].key...)
}

func (o *object) null(i int) {
	o.begin(i)
	o.written = append(o.written, "null,"...)
}

func (o *object) text(i int, s string) {
	o.begin(i)
	o.written = append(appendText(o.written, s), ',')
}

func (o *object) number(i, n int) {
	o.begin(i)
	o.written = append(strconv.AppendInt(o.written, int64(n), 10), ',')
}

func (o *object) truth(i int, is bool) {
	o.begin(i)
	o.written = append(strconv.AppendBool(o.written, is), ',')
}

func (o *object) moment(i int, t time.Time) {
	if t.IsZero() {
		o.null(i)
		return
	}
	o.begin(i)
	o.written = append(t.AppendFormat(append(o.written, '"'), time.RFC3339Nano), '"', ',')
}

// set gives a field a value.
func (o *object) set(i int, v graphql.Marshaler, required bool) {
	o.values = append(o.values, value{len(o.written), i, v})
	o.check(v, required)
}

func (o *object) check(v graphql.Marshaler, required bool) {
	if required && v == graphql.Null || v == graphql.RequiredNull {
		o.invalid.Add(1)
	}
}

// later has a field executed beside the others of its kind.
func (o *object) later(i int, required bool, execute func(context.Context) graphql.Marshaler) {
	o.values = append(o.values, value{len(o.written), i, graphql.Null})
	if field := o.fields[i].CollectedField; field.IsDeferred() {
		o.postpone(field, required, execute)
		return
	}
	o.delayed = append(o.delayed, delayed{len(o.values) - 1, required, execute})
}

// postpone has a field executed after the answer that it belongs to.
func (o *object) postpone(field graphql.CollectedField, required bool, execute func(context.Context) graphql.Marshaler) {
	if o.deferred == nil {
		o.deferred = &deferred{graphql.NewFieldSet(nil), map[string]*graphql.FieldSetView{}}
	}
	set := o.deferred.set
	set.AddField(field)
	at := len(set.Values) - 1
	set.Concurrently(at, func(ctx context.Context) graphql.Marshaler {
		v := execute(ctx)
		if required && v == graphql.Null || v == graphql.RequiredNull {
			atomic.AddUint32(&set.Invalids, 1)
		}
		return v
	})
	for _, d := range field.Deferrables {
		view, ok := o.deferred.views[d.Label]
		if !ok {
			view = set.NewView()
			o.deferred.views[d.Label] = view
		}
		view.AddIndices(at)
	}
}

// done executes what is left, and gives the object; null, when a field has no
// value that must have one.
func (o *object) done(ctx context.Context) graphql.Marshaler {
	o.dispatch(ctx)
	if o.invalid.Load() > 0 {
		return graphql.Null
	}
	if d := o.deferred; d != nil {
		atomic.AddInt32(&o.ec.Deferred, int32(len(d.views))) //nolint:gosec // G115: the operation's aliases are bounded
		o.ec.ProcessDeferredGroup(graphql.DeferredGroup{Defers: d.views, Path: graphql.GetPath(ctx), FieldSet: d.set, Context: ctx})
	}
	return o
}

func (o *object) dispatch(ctx context.Context) {
	if len(o.delayed) == 0 {
		return
	}
	var all sync.WaitGroup
	for i := range o.delayed[1:] {
		all.Go(func() { o.execute(ctx, &o.delayed[1+i]) })
	}
	o.execute(ctx, &o.delayed[0])
	all.Wait()
}

func (o *object) execute(ctx context.Context, d *delayed) {
	defer func() {
		if r := recover(); r != nil {
			o.ec.Error(ctx, o.ec.Recover(ctx, r))
			o.check(graphql.Null, d.required)
		}
	}()
	v := d.execute(ctx)
	o.values[d.value].Marshaler = v
	o.check(v, d.required)
}

// MarshalGQL implements graphql.Marshaler.
func (o *object) MarshalGQL(w io.Writer) {
	next := byte('{')
	from := 0
	put := func(b []byte) { _, _ = w.Write(b) }
	for i := range o.values {
		v := &o.values[i]
		if v.at > from {
			put([]byte{next})
			put(o.written[from : v.at-1])
			next, from = ',', v.at
		}
		put([]byte{next})
		next = ','
		_, _ = io.WriteString(w, o.fields[v.field].key)
		v.MarshalGQL(w)
	}
	switch {
	case from < len(o.written):
		put([]byte{next})
		put(o.written[from : len(o.written)-1])
	case next == '{':
		put([]byte{next})
	}
	put([]byte{'}'})
}

// Noticer may be implemented by resolvers to learn of each row, page or list that
// a field below the root gave, before its own fields are executed.
type Noticer interface {
	Notice(ctx context.Context, v any)
}

func (ec *executionContext) notice(ctx context.Context, v any) {
	if n, ok := ec.Resolvers.(Noticer); ok {
		n.Notice(ctx, v)
	}
}

// How lists are executed: those that are shorter than few by who asks, others by
// as many goroutines as hands at most.
const (
	few   = 8
	hands = 4
)

// list executes a list's entries.
func (ec *executionContext) list(ctx context.Context, length int, execute func(ctx context.Context, i int) graphql.Marshaler) graphql.Array {
	all := make(graphql.Array, length)
	places, indexes := make([]graphql.FieldContext, length), make([]int, length)
	var broken atomic.Bool
	one := func(i int) {
		indexes[i] = i
		places[i].Index = &indexes[i]
		ctx := graphql.WithFieldContext(ctx, &places[i])
		defer func() {
			if r := recover(); r != nil {
				ec.Error(ctx, ec.Recover(ctx, r))
				broken.Store(true)
			}
		}()
		all[i] = execute(ctx, i)
	}
	if length < few {
		for i := range length {
			one(i)
		}
	} else {
		var every sync.WaitGroup
		for hand := range hands {
			every.Go(func() {
				for i := hand * length / hands; i < (hand+1)*length/hands; i++ {
					one(i)
				}
			})
		}
		every.Wait()
	}
	if broken.Load() {
		return nil
	}
	return all
}

// appendText writes a string as JSON.
func appendText(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '\t':
			b = append(b, '\\', 't')
		case '\r':
			b = append(b, '\\', 'r')
		case '\n':
			b = append(b, '\\', 'n')
		case '\\', '"':
			b = append(b, '\\', c)
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
		start = i + 1
	}
	return append(append(b, s[start:]...), '"')
}

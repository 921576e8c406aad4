// Package socket speaks graphql-transport-ws, the WebSocket protocol of GraphQL,
// with as little as can be kept for each connection: one goroutine that reads,
// and another one only while there is something to write. Nothing is gathered
// for a reader who is slow: operations are asked for their next message when the
// one before has been sent.
package socket

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Subprotocol is the only one spoken; the older graphql-ws is refused.
const Subprotocol = "graphql-transport-ws"

// Close codes of the protocol.
const (
	closeInvalid      = 4400
	closeUnauthorized = 4401
	closeForbidden    = 4403 // which clients try again after, as who they are by then
	closeInitTimeout  = 4408
	closeDuplicate    = 4409
	closeManyInits    = 4429
	closeInternal     = 4500
)

// mostID bounds the name that a client gives an operation, in bytes.
const mostID = 200

// Operation is one that is under way. Its methods are called by one goroutine at
// a time; Close may be called while Next runs, whose context ends then.
type Operation interface {
	// Next gives the payload of the next message; nothing when there is none
	// now: then the operation wakes the connection when there is. Error: io.EOF
	// at the end; ErrSignedOut ends the connection.
	Next(ctx context.Context) ([]byte, error)
	Close()
}

// ErrSignedOut says that who asks isn't known any more by what he opened the
// connection with.
var ErrSignedOut = errors.New("signed out")

// ErrTryAgain says that nobody can tell now who asks.
var ErrTryAgain = errors.New("try again later")

// Config is how a connection is served.
type Config struct {
	// Init tells who asks, by the payload of connection_init; the context is that
	// of all operations. Error: the connection is closed, as unauthorized unless it
	// is ErrTryAgain.
	Init func(ctx context.Context, payload map[string]any) (context.Context, error)
	// Start begins an operation, or says why it can't. Wake doesn't block.
	Start func(ctx context.Context, params *graphql.RawParams, wake func()) (Operation, gqlerror.List)
	// Full tells that a connection has too many operations.
	Full func(ctx context.Context) gqlerror.List
	// Panicked notes what panicked while a client was served, and gives what he is
	// told: the operation ends by it, or, where it was none, the connection.
	Panicked func(ctx context.Context, p any) gqlerror.List
	// Outlive lets a connection go on after its request's handler has returned,
	// which frees what the server keeps for a request: until stopping ends, and
	// done is called when it is over. No stopping: the handler stays. May be nil.
	Outlive func(ctx context.Context) (stopping context.Context, done func())

	Most        int   // operations of one connection at once
	MostBody    int64 // bytes of one message
	InitTimeout time.Duration
	Ping        time.Duration // how often the peer is asked whether it lives
	Send        time.Duration // how long the peer may take to accept a message
}

// Serve serves one connection to its end, or begins to where it may outlive the
// request. The origin was checked before.
func (cfg *Config) Serve(w http.ResponseWriter, r *http.Request) {
	hijacked := &hijacker{ResponseWriter: w, send: cfg.Send}
	ws, err := websocket.Accept(hijacked, r, &websocket.AcceptOptions{
		Subprotocols: []string{Subprotocol}, InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return // it has been answered
	}
	ws.SetReadLimit(cfg.MostBody)
	c := &conn{cfg: cfg, ws: ws, wire: hijacked.wire, heard: time.Now()}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(r.Context()))
	c.mu.Lock()
	c.timer = time.AfterFunc(cfg.InitTimeout, c.tick)
	c.mu.Unlock()
	if cfg.Outlive != nil {
		if stopping, done := cfg.Outlive(r.Context()); stopping != nil {
			go c.serve(stopping, done)
			return
		}
	}
	c.serve(r.Context(), func() {})
}

func (c *conn) serve(stopping context.Context, done func()) {
	defer done()
	defer c.end()
	defer c.rescue()
	stop := context.AfterFunc(stopping, func() { c.close(int(websocket.StatusGoingAway), "the server is stopping") })
	defer stop()
	for {
		_, data, err := c.ws.Read(context.Background())
		if err != nil {
			return
		}
		if code, why := c.apart(data); code != 0 {
			c.close(code, why)
		}
	}
}

// conn is one connection.
type conn struct {
	cfg    *Config
	ws     *websocket.Conn // reads, and closes
	wire   *wire           // writes
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	asks    context.Context // who asks; nil before connection_ack
	inited  bool
	ops     map[string]*operation
	ready   []*operation // that may have something to send
	writing bool
	closing bool
	heard   time.Time // when the peer last said something
	timer   *time.Timer
}

type operation struct {
	id     string
	run    Operation // nil: not begun yet
	cancel context.CancelFunc
	ctx    context.Context
	queued bool
	over   bool

	begun bool // the first message was asked for
	first []byte
	err   error
}

// receive does what a message asks for. A code closes the connection.
func (c *conn) receive(data []byte) (code int, why string) {
	m, ok := parse(data)
	if !ok {
		return closeInvalid, "invalid message"
	}
	c.mu.Lock()
	c.heard = time.Now()
	asks := c.asks
	c.mu.Unlock()
	switch m.Type {
	case "connection_init":
		return c.init(m.Payload)
	case "ping":
		c.send(message{Type: "pong", Payload: m.Payload})
	case "subscribe":
		if asks == nil {
			return closeUnauthorized, "unauthorized"
		}
		params, ok := parseParams(m.Payload)
		if !ok {
			return closeInvalid, "invalid message"
		}
		return c.subscribe(m.ID, params)
	case "complete":
		c.mu.Lock()
		op := c.ops[m.ID]
		c.mu.Unlock()
		if op != nil {
			c.finish(op)
		}
	}
	return 0, ""
}

func (c *conn) init(payload json.RawMessage) (code int, why string) {
	c.mu.Lock()
	again := c.inited
	c.inited = true
	c.mu.Unlock()
	if again {
		return closeManyInits, "too many initialisation requests"
	}
	with := map[string]any{}
	if len(payload) > 0 && json.Unmarshal(payload, &with) != nil {
		return closeInvalid, "invalid message"
	}
	ctx, err := c.cfg.Init(c.ctx, with)
	switch {
	case errors.Is(err, ErrTryAgain): // clients do, which take the other code for final
		return int(websocket.StatusTryAgainLater), "try again later"
	case err != nil:
		return closeUnauthorized, "unauthorized"
	}
	c.mu.Lock()
	c.asks = ctx
	c.timer.Reset(c.untilPing())
	c.mu.Unlock()
	c.send(message{Type: "connection_ack"})
	return 0, ""
}

// untilPing differs, so that connections that came together are not asked
// together for ever.
func (c *conn) untilPing() time.Duration {
	return c.cfg.Ping - rand.N(c.cfg.Ping/4+1)
}

// tick closes what says nothing, and asks the rest whether it lives.
func (c *conn) tick() {
	defer c.rescue()
	c.mu.Lock()
	asks, silent, closing := c.asks != nil, time.Since(c.heard), c.closing
	c.mu.Unlock()
	switch {
	case closing:
	case !asks:
		c.close(closeInitTimeout, "connection initialisation timeout")
	case silent > 2*c.cfg.Ping:
		_ = c.ws.CloseNow()
	default:
		f := newFrame()
		f.WriteString(`{"type":"ping"}`)
		c.wire.text(f)
		c.mu.Lock()
		if !c.closing {
			c.timer.Reset(c.untilPing())
		}
		c.mu.Unlock()
	}
}

func (c *conn) subscribe(id string, params *graphql.RawParams) (code int, why string) {
	c.mu.Lock()
	if _, there := c.ops[id]; there {
		c.mu.Unlock()
		return closeDuplicate, "there is an operation with this id already"
	}
	if len(c.ops) >= c.cfg.Most {
		asks := c.asks
		c.mu.Unlock()
		c.refuse(id, c.cfg.Full(asks))
		return 0, ""
	}
	op := &operation{id: id, queued: true} // until it has begun
	op.ctx, op.cancel = context.WithCancel(c.asks)
	if c.ops == nil {
		c.ops = make(map[string]*operation, 1)
	}
	c.ops[id] = op
	c.mu.Unlock()
	go c.begin(op, params)
	return 0, ""
}

// begin starts an operation, and waits for its first message: others are not to
// wait for it.
func (c *conn) begin(op *operation, params *graphql.RawParams) {
	defer c.rescue()
	defer c.rescueFrom(op)
	run, errs := c.cfg.Start(op.ctx, params, func() { c.wake(op) })
	if errs != nil {
		if c.forget(op) {
			c.refuse(op.id, errs)
		}
		return
	}
	c.mu.Lock()
	op.run = run
	over := op.over
	c.mu.Unlock()
	if over {
		c.shut(run)
		return
	}
	op.first, op.err = run.Next(op.ctx)
	c.mu.Lock()
	op.begun, op.queued = true, false
	c.mu.Unlock()
	c.wake(op)
}

// wake has an operation asked for its next message.
func (c *conn) wake(op *operation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if op.queued || op.over || !op.begun {
		return
	}
	op.queued = true
	c.ready = append(c.ready, op)
	if !c.writing {
		c.writing = true
		go c.write()
	}
}

// apart does what a message asks for on a stack of its own, so that the one that
// reads, which lives as long as the connection, stays small.
func (c *conn) apart(data []byte) (code int, why string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer c.rescue()
		code, why = c.receive(data)
	}()
	<-done
	return code, why
}

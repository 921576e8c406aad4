package socket

import (
	"encoding/json"
	"errors"

	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// write sends what there is, each operation in its turn.
func (c *conn) write() {
	defer c.rescue()
	for {
		c.mu.Lock()
		if len(c.ready) == 0 {
			c.writing, c.ready = false, nil
			c.mu.Unlock()
			return
		}
		op := c.ready[0]
		c.ready[0] = nil
		c.ready = c.ready[1:]
		op.queued = false
		over := op.over
		c.mu.Unlock()
		if !over {
			c.give(op)
		}
	}
}

// give sends what an operation has.
func (c *conn) give(op *operation) {
	defer c.rescueFrom(op)
	payload, err := op.next()
	switch {
	case errors.Is(err, ErrSignedOut):
		c.close(closeForbidden, "the session has ended")
	case err != nil:
		if c.finish(op) && c.ctx.Err() == nil {
			c.send(message{ID: op.id, Type: "complete"})
		}
	case payload != nil:
		c.sendNext(op.id, payload)
		c.wake(op)
	}
}

// rescueFrom, deferred, ends an operation that panicked, and nothing else.
func (c *conn) rescueFrom(op *operation) {
	p := recover()
	if p == nil {
		return
	}
	errs := c.cfg.Panicked(op.ctx, p)
	if c.finish(op) {
		c.refuse(op.id, errs)
	}
}

// rescue, deferred, ends the connection of what panicked, and not the process.
func (c *conn) rescue() {
	if p := recover(); p != nil {
		c.cfg.Panicked(c.ctx, p)
		c.close(closeInternal, "internal error")
	}
}

func (op *operation) next() ([]byte, error) {
	if op.first != nil || op.err != nil {
		first, err := op.first, op.err
		op.first = nil
		return first, err
	}
	return op.run.Next(op.ctx)
}

// finish ends an operation; true for the first to do so.
func (c *conn) finish(op *operation) bool {
	first := c.forget(op)
	c.mu.Lock()
	run := op.run
	c.mu.Unlock()
	if first && run != nil {
		c.shut(run)
	}
	return first
}

// shut lets go of an operation, which is over either way.
func (c *conn) shut(run Operation) {
	defer func() {
		if p := recover(); p != nil {
			c.cfg.Panicked(c.ctx, p)
		}
	}()
	run.Close()
}

func (c *conn) forget(op *operation) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if op.over {
		return false
	}
	op.over = true
	if c.ops[op.id] == op {
		delete(c.ops, op.id)
	}
	op.cancel()
	return true
}

// refuse ends an operation that was not begun.
func (c *conn) refuse(id string, errs gqlerror.List) {
	payload, err := json.Marshal(errs)
	if err != nil {
		panic(err) // our own errors
	}
	c.send(message{ID: id, Type: "error", Payload: payload})
}

func (c *conn) send(m message) {
	data, err := json.Marshal(m)
	if err != nil {
		panic(err) // our own message
	}
	f := newFrame()
	f.Write(data)
	c.wire.text(f)
}

// sendNext wraps a payload, which many connections share.
func (c *conn) sendNext(id string, payload []byte) {
	f := newFrame()
	f.WriteString(`{"id":`)
	f.text(id)
	f.WriteString(`,"type":"next","payload":`)
	f.Write(payload)
	f.WriteByte('}')
	c.wire.text(f)
}

// text writes a text as JSON; one of a UUID's characters as it is.
func (f *frame) text(text string) {
	plain := true
	for i := 0; i < len(text) && plain; i++ {
		b := text[i]
		plain = b == '-' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
	}
	if plain {
		f.WriteByte('"')
		f.WriteString(text)
		f.WriteByte('"')
		return
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // it came as JSON
	}
	f.Write(quoted)
}

// close begins the close handshake and doesn't wait for its end.
func (c *conn) close(code int, why string) {
	c.mu.Lock()
	first := !c.closing
	c.closing = true
	c.timer.Stop()
	c.mu.Unlock()
	if first {
		go func() {
			defer c.rescue()
			_ = c.ws.Close(websocket.StatusCode(code), why)
		}()
	}
}

// end lets go of everything.
func (c *conn) end() {
	c.mu.Lock()
	closing := c.closing
	c.closing = true
	c.timer.Stop()
	ops := make([]*operation, 0, len(c.ops))
	for _, op := range c.ops {
		ops = append(ops, op)
	}
	c.mu.Unlock()
	c.cancel()
	for _, op := range ops {
		c.finish(op)
	}
	if !closing { // else the handshake ends it
		_ = c.ws.CloseNow()
	}
}

package client

import (
	"time"

	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// Notice is a word to the user of a handle: somebody needs the license, and asks
// him to release it. Nothing forces him.
type Notice struct {
	ID   string
	Text string // may be empty
	By   string // who asks, as they say
}

// Notices gives what the handle's user is asked, each once; of several that
// nobody has read the last one stays. It is closed when the handle is dead.
// Notices come with renewals, so within a third of the lease, and not to borrowed
// handles.
func (h *Handle) Notices() <-chan Notice { return h.notices }

func (h *Handle) noticed(m *quoratev1.Notice) {
	if m.GetId() == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil || h.shown == m.GetId() {
		return
	}
	h.shown = m.GetId()
	select {
	case <-h.notices:
	default:
	}
	h.notices <- Notice{ID: m.GetId(), Text: m.GetText(), By: m.GetBy()} // there is room: only here it is filled
	h.client.log.Info("asked to release the license", "product", h.product, "by", m.GetBy())
}

// Touch says that the program is using the license now. From the first Touch on
// its renewals tell for how long it hasn't, so that others see which licenses are
// idle; OpenKey, Consume and the other calls count as a use, too. A program that
// never calls it is never shown as idle. It is cheap enough for every click.
func (h *Handle) Touch() { h.touch(true) }

func (h *Handle) touch(tell bool) {
	now := h.client.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = h.told || tell
	h.used = now
}

// idle is how long the program has not used the handle; 0 where it doesn't tell.
func (h *Handle) idle() time.Duration {
	now := h.client.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.told {
		return 0
	}
	return max(0, now.since(h.used))
}

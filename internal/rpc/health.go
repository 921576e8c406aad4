package rpc

import (
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// BackendHealth is one backend as a TMR server sees it.
type BackendHealth struct {
	Position int // 1, 2, 3
	Serial   license.Serial
	Address  string
	Presence license.Presence
	Seen     time.Time // last sign of life; zero: never
	Reason   string    // why it is absent, for people
}

// HealthProto makes the message; its age is counted from now.
func HealthProto(h BackendHealth) *quoratev1.BackendHealth {
	m := &quoratev1.BackendHealth{
		Position: uint32(h.Position), Serial: h.Serial.String(), Address: h.Address,
		Presence: h.Presence.String(), SeenMs: -1,
	}
	if !h.Seen.IsZero() {
		m.SeenMs = max(0, time.Since(h.Seen).Milliseconds())
	}
	return m
}

// HealthFrom reads the message; Seen is counted back from now.
func HealthFrom(m *quoratev1.BackendHealth) (BackendHealth, error) {
	h := BackendHealth{Position: int(m.GetPosition()), Address: license.Clip(m.GetAddress(), 256)}
	if h.Position < 1 || h.Position > license.Backends {
		return BackendHealth{}, unreadable("position %d is none of 1, 2, 3", m.GetPosition())
	}
	var err error
	if h.Serial, err = license.ParseSerial(m.GetSerial()); err != nil {
		return BackendHealth{}, err
	}
	if h.Presence, err = PresenceFrom(m.GetPresence()); err != nil {
		return BackendHealth{}, err
	}
	if m.GetSeenMs() >= 0 {
		h.Seen = time.Now().Add(-time.Duration(min(m.GetSeenMs(), int64(1e12))) * time.Millisecond)
	}
	return h, nil
}

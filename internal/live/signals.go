package live

import (
	"maps"
	"slices"

	"github.com/quorate/quorate/internal/event"
)

func (s *stream) listens(signal event.Signal) bool {
	for _, t := range s.src.Topics {
		if t.Topic == signal.Topic && (t.Key == "" || t.Key == signal.Key) {
			return true
		}
	}
	return false
}

func (s *stream) poke(signal event.Signal, all bool) {
	s.mu.Lock()
	s.all = s.all || all
	if !s.all {
		s.pending[signal] = struct{}{}
	}
	s.mu.Unlock()
	select {
	case s.poked <- struct{}{}:
	default:
	}
}

// concerned says whether one of the pending signals counts, and what they are
// about.
func (s *stream) concerned() (Heard, bool, error) {
	s.mu.Lock()
	heard, all := s.heard(), s.all
	signals := slices.Collect(maps.Keys(s.pending))
	clear(s.pending)
	s.all = false
	s.mu.Unlock()
	if all || len(signals) > 0 && s.src.Concerns == nil { // else a reading has taken them along
		return heard, true, nil
	}
	for _, signal := range signals {
		exact := slices.ContainsFunc(s.src.Topics, func(t event.Signal) bool { return t == signal })
		if exact {
			return heard, true, nil
		}
		if ok, err := s.src.Concerns(s.ctx, signal); ok || err != nil {
			return heard, ok, err
		}
	}
	return heard, false, nil
}

// heard gives the topics of what is pending. It needs the lock.
func (s *stream) heard() Heard {
	if s.all {
		return nil
	}
	topics := Heard{}
	for signal := range s.pending {
		if !slices.Contains(topics, signal.Topic) {
			topics = append(topics, signal.Topic)
		}
	}
	return topics
}

package link

import (
	"context"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

const (
	mostPushViews  = 32
	mostPushEvents = 256
	// mostPushBytes bounds the views of one push, but for the first one, of which
	// a message takes the largest there can be.
	mostPushBytes = rpc.MostMessage / 2
	pushTime      = 10 * time.Second
	// gather is how long events collect for the next push, but for the first ones
	// after a rest: one push for each costs the platform more than the access did.
	gather = 250 * time.Millisecond
	// servedEvery is how often the platform is told again what is served.
	servedEvery = time.Minute
)

// term is one time of leading, or of not leading.
type term struct {
	leading bool
	epoch   uint64
	// start is the version before the first view that belongs to the term.
	start uint64
	// shift is how many views were lost in this term. The platform takes only
	// consecutive versions, so later ones go up with numbers that much lower.
	shift uint64
}

// batch is views in order, and the shift under which they go up.
type batch struct {
	views []license.View
	shift uint64
}

func (a *Agent) term() *term {
	leading, epoch := a.conf.Leading()
	t := &term{leading: leading}
	if leading {
		t.epoch = epoch
		if a.conf.Views != nil {
			t.start = a.conf.Views.View().Version - 1
		}
	}
	return t
}

func (a *Agent) over(t *term) bool {
	leading, epoch := a.conf.Leading()
	return leading != t.leading || (leading && epoch != t.epoch)
}

func (a *Agent) push(ctx context.Context) {
	state := trouble{logger: a.conf.Logger, what: "pushing to the platform"}
	retry := backoff{first: 100 * time.Millisecond, most: 5 * time.Second}
	t := a.term()
	for ctx.Err() == nil {
		s := session{agent: a, term: t, trouble: &state}
		if s.run(ctx) {
			retry.reset()
		} else if !retry.wait(ctx) {
			return
		}
		if a.over(t) {
			t = a.term()
		}
	}
}

// session pushes within one term, from where the platform says it is. It ends
// with the term, or when the platform turns out to be somewhere else.
type session struct {
	agent   *Agent
	term    *term
	trouble *trouble

	// What isn't confirmed yet, and up to where the platform must be when it
	// has answered.
	views  []*quoratev1.GroupView
	events []*quoratev1.LeaseEvent
	viewTo uint64
	posTo  uint64
	after  uint64 // what events follow
	used   []use

	// served was told last, or is to be told by the next push, at servedAt.
	served   []Served
	servedAt time.Time
	tell     *quoratev1.ServedLicenses
}

// run says whether the platform was in step to the end.
func (s *session) run(ctx context.Context) (inStep bool) {
	// The first push brings no views and no events: its answer says where to begin.
	s.lookServed()
	at, ok := s.send(ctx)
	if !ok {
		return true
	}
	s.viewTo, s.posTo = at.GetViewVersion(), at.GetEventPosition()
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	views, events, used := make(chan batch), make(chan []lease.Event), make(chan []use)
	shift := s.term.shift
	if s.term.leading && s.agent.conf.Views != nil {
		after := s.term.start
		if v := at.GetViewVersion(); v != 0 {
			after = v + shift
		}
		readers.Go(func() { s.agent.readViews(ctx, after, shift, views) })
	}
	if s.term.leading && s.agent.conf.Events != nil {
		readers.Go(func() { s.agent.readEvents(ctx, at.GetEventPosition(), events) })
	}
	if s.term.leading && s.agent.conf.Handles != nil {
		readers.Go(func() { s.agent.readActivity(ctx, used) })
	}
	beat := time.NewTicker(s.agent.conf.Heartbeat)
	defer beat.Stop()
	look := time.NewTicker(pulse)
	defer look.Stop()
	for {
		select {
		case b := <-views:
			shift = b.shift
			for _, v := range b.views {
				v.Version -= shift
				s.views = append(s.views, rpc.ViewProto(v, v.At))
				s.viewTo = v.Version
			}
		case es := <-events:
			s.after = s.posTo
			for _, e := range es {
				s.events = append(s.events, EventProto(e))
				s.posTo = e.Position
			}
		case s.used = <-used:
		case <-beat.C:
			s.lookServed()
		case <-look.C:
			if s.agent.over(s.term) {
				return true
			}
			continue
		case <-ctx.Done():
			return true
		}
		at, ok := s.send(ctx)
		if !ok {
			return true
		}
		if s.term.leading && (at.GetViewVersion() < s.viewTo || at.GetEventPosition() < s.posTo) {
			return false // for instance restored from a backup
		}
		s.views, s.events, s.used = nil, nil, nil
		s.term.shift = shift
	}
}

// lookServed has the next push tell what is served, where that has changed or
// was told a while ago: a platform that was restored has an older word.
func (s *session) lookServed() {
	if !s.term.leading || s.agent.conf.Served == nil {
		return
	}
	now := s.agent.conf.Served()
	if !s.servedAt.IsZero() && slices.Equal(now, s.served) && time.Since(s.servedAt) < servedEvery {
		return
	}
	s.served, s.servedAt, s.tell = now, time.Now(), new(quoratev1.ServedLicenses)
	for _, l := range now {
		s.tell.Licenses = append(s.tell.Licenses, &quoratev1.ServedLicense{
			Product: rpc.ProductProto(l.Product), Name: l.Name, Quantity: l.Quantity, Reason: string(l.Reason), FeatureMap: l.FeatureMap,
		})
	}
}

// send pushes what is pending, again and again, until the platform has
// answered. Not ok: the term or ctx ended before.
func (s *session) send(ctx context.Context) (at *quoratev1.PushResponse, ok bool) {
	retry := backoff{first: 100 * time.Millisecond, most: 5 * time.Second}
	for {
		if ctx.Err() != nil || s.agent.over(s.term) {
			return nil, false
		}
		req := &quoratev1.PushRequest{
			Server: s.agent.conf.Server, Leading: s.term.leading, Epoch: s.term.epoch,
			Views: s.views, Events: s.events, EventsAfter: s.after, Clients: s.agent.conf.Clients(), Served: s.tell,
			Rules: s.agent.rulesStatus(), Process: s.agent.process(),
		}
		for _, u := range s.used {
			req.Activity = append(req.Activity, u.message(time.Now()))
		}
		if s.agent.conf.Views != nil {
			for _, h := range s.agent.conf.Views.Health() {
				req.Health = append(req.Health, rpc.HealthProto(h))
			}
		}
		pctx, cancel := context.WithTimeout(ctx, pushTime)
		sent := time.Now()
		res, err := s.agent.api.Push(pctx, connect.NewRequest(req))
		cancel()
		if err == nil {
			s.agent.roundTrip.Store(int64(time.Since(sent)))
			s.trouble.fine()
			s.agent.standing(nil)
			s.agent.hear()
			s.tell = nil
			s.agent.wantRules(res.Msg.GetRulesDigest())
			return res.Msg, true
		}
		if ctx.Err() != nil {
			return nil, false
		}
		s.trouble.failed(err)
		s.agent.standing(err)
		if !retry.wait(ctx) {
			return nil, false
		}
	}
}

// process is what the agent tells of its server.
func (a *Agent) process() *quoratev1.ProcessStatus {
	trip := time.Duration(a.roundTrip.Load())
	ms := trip.Milliseconds()
	if trip > 0 {
		ms = max(ms, 1) // 0: not measured
	}
	return &quoratev1.ProcessStatus{Version: a.conf.Version, RunningMs: time.Since(a.began).Milliseconds(), RoundTripMs: uint32(min(ms, pushTime.Milliseconds()))} //nolint:gosec // G115: bounded
}

// readViews hands over views in order. Where some are kept no more it says so
// in the log and goes on from the present one.
func (a *Agent) readViews(ctx context.Context, after, shift uint64, out chan<- batch) {
	for ctx.Err() == nil {
		views, err := a.conf.Views.Views(ctx, after, mostPushViews)
		if err != nil {
			next := a.conf.Views.View().Version
			a.conf.Logger.Error("views were lost before the platform had them", "after", after, "next", next, "error", err.Error())
			shift += next - 1 - after
			after = next - 1
			continue
		}
		if len(views) == 0 {
			return // ctx ended, or the group stopped
		}
		views = fit(views)
		select {
		case out <- batch{views, shift}:
			after = views[len(views)-1].Version
		case <-ctx.Done():
		}
	}
}

// fit keeps as many views as one message takes, and at least one.
func fit(views []license.View) []license.View {
	size := 0
	for i, v := range views {
		size += proto.Size(rpc.ViewProto(v, v.At))
		if i > 0 && size > mostPushBytes {
			return views[:i]
		}
	}
	return views
}

// readEvents hands over lease events in order. A store that fails is asked
// again.
func (a *Agent) readEvents(ctx context.Context, after uint64, out chan<- []lease.Event) {
	retry := backoff{first: 100 * time.Millisecond, most: 5 * time.Second}
	state := trouble{logger: a.conf.Logger, what: "reading lease events"}
	for ctx.Err() == nil {
		events, err := a.conf.Events(ctx, after, mostPushEvents)
		if err != nil || len(events) == 0 {
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				state.failed(err)
			}
			if !retry.wait(ctx) {
				return
			}
			continue
		}
		state.fine()
		retry.reset()
		select {
		case out <- events:
			after = events[len(events)-1].Position
		case <-ctx.Done():
		}
		if len(events) < mostPushEvents {
			sleep(ctx, gather)
		}
	}
}

// EventProto makes the message of a lease event.
func EventProto(e lease.Event) *quoratev1.LeaseEvent {
	return &quoratev1.LeaseEvent{
		Position: e.Position, Kind: string(e.Kind), AtMs: e.At.UnixMilli(), Handle: e.Handle,
		Product: rpc.ProductProto(e.Pool.Product), Mode: rpc.ModeProto(e.Mode),
		Client: &quoratev1.Client{
			Address: e.Client.Address, User: e.Client.User, Process: e.Client.Process,
			Application: e.Client.Application, Station: e.Station,
		},
		Seat: e.Seat, N: e.N, Reason: string(e.Reason), By: e.By, Licenses: e.Licenses, Rule: e.Rule, Seq: e.Seq,
		Borrowed: e.Borrowed,
	}
}

// standing tells what becomes of the container by the platform's answer. That
// the platform is away, or has another trouble, says nothing about it. Pushes
// come one after the other, and often; a pull that waits answers what was.
func (a *Agent) standing(err error) {
	if a.conf.Refused != nil && (err == nil || license.CodeOf(err) == license.CodeContainerBlocked) {
		a.conf.Refused(err)
	}
}

package link

import (
	"context"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

const (
	pullWait = 20 * time.Second
	pullTime = pullWait + 10*time.Second
	// rest is the pause before the next pull while everything due is being
	// done already: the platform answers such pulls at once.
	rest = 200 * time.Millisecond
	// pulse is how often leadership is looked at.
	pulse = 100 * time.Millisecond
	// workTime bounds one item of work.
	workTime = 90 * time.Second
	// A report is tried so often, over half a minute or so; then the work is
	// pulled again.
	reportTries = 10
	reportTime  = 10 * time.Second
	// shun is how long an item that couldn't be reported is left alone.
	shun = 2 * time.Second
)

// workers knows which items are under way.
type workers struct {
	mu   sync.Mutex
	busy map[string]bool
	idle chan struct{} // told when an item has ended
}

func (w *workers) begin(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy[id] {
		return false
	}
	w.busy[id] = true
	return true
}

func (w *workers) end(id string) {
	w.mu.Lock()
	delete(w.busy, id)
	w.mu.Unlock()
	select {
	case w.idle <- struct{}{}:
	default:
	}
}

func (a *Agent) pull(ctx context.Context) {
	retry := backoff{first: 200 * time.Millisecond, most: 10 * time.Second}
	state := trouble{logger: a.conf.Logger, what: "pulling work from the platform"}
	for ctx.Err() == nil {
		work, err := a.pullOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			state.failed(err)
			if license.CodeOf(err) == license.CodeUnavailable {
				a.http.Reset() // the connection may be dead
			}
			if !retry.wait(ctx) {
				return
			}
			continue
		}
		state.fine()
		a.hear()
		retry.reset()
		started := 0
		for _, w := range work {
			if a.work.begin(w.GetId()) {
				started++
				a.running.Go(func() {
					defer a.work.end(w.GetId())
					a.do(ctx, w)
				})
			}
		}
		if len(work) > 0 && started == 0 {
			select {
			case <-a.work.idle:
			case <-time.After(rest):
			case <-ctx.Done():
			}
		}
	}
}

// pullOnce gives what is due. It returns early, with nothing, when leadership
// changes, so that a new leader gets its work at once.
func (a *Agent) pullOnce(ctx context.Context) ([]*quoratev1.Work, error) {
	leading, epoch := a.conf.Leading()
	ctx, cancel := context.WithTimeout(ctx, pullTime)
	defer cancel()
	changed := false
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for sleep(ctx, pulse) {
			if l, e := a.conf.Leading(); l != leading || e != epoch {
				changed = true
				cancel()
				return
			}
		}
	}()
	res, err := a.api.Pull(ctx, connect.NewRequest(&quoratev1.PullRequest{
		Server: a.conf.Server, Leading: leading, WaitMs: uint32(pullWait.Milliseconds()),
	}))
	cancel()
	<-watched
	switch {
	case err != nil && changed:
		return nil, nil
	case err != nil:
		return nil, err
	}
	return res.Msg.GetWork(), nil
}

// patiently executes an item, and again for a while where a backend does not
// answer: a restart or a moment of overload is no reason to hold a rollout until
// a person looks at it. Every item may be repeated.
func (a *Agent) patiently(ctx context.Context, w *quoratev1.Work) (*quoratev1.ReportRequest, error) {
	until := time.Now().Add(a.conf.Absent)
	retry := backoff{first: 100 * time.Millisecond, most: time.Second}
	for {
		report, err := a.execute(ctx, w)
		if code := license.CodeOf(err); code != license.CodeBackendAbsent && code != license.CodeUnavailable {
			return report, err
		}
		if !time.Now().Before(until) || !retry.wait(ctx) {
			return report, err
		}
	}
}

// do executes an item and reports it.
func (a *Agent) do(ctx context.Context, w *quoratev1.Work) {
	log := a.conf.Logger.With("work", w.GetId())
	ctx, end := a.watched(ctx, w)
	work, cancel := context.WithTimeout(ctx, workTime)
	report, err := a.patiently(work, w)
	cancel()
	if ctx.Err() != nil {
		end(ctx.Err())
		return // stopping: it stays due
	}
	defer end(err)
	if err != nil {
		report = &quoratev1.ReportRequest{Error: rpc.ErrorInfo(err)}
		log.WarnContext(ctx, "work failed", "code", string(license.CodeOf(err)), "error", err.Error())
	}
	report.WorkId = w.GetId()
	retry := backoff{first: 100 * time.Millisecond, most: 5 * time.Second}
	for try := 1; ; try++ {
		rctx, cancel := context.WithTimeout(ctx, reportTime)
		_, err := a.api.Report(rctx, connect.NewRequest(report))
		cancel()
		if err == nil {
			return
		}
		if refused(err) || try == reportTries {
			log.WarnContext(ctx, "work could not be reported", "code", string(license.CodeOf(err)), "error", err.Error())
			sleep(ctx, shun)
			return
		}
		if !retry.wait(ctx) {
			return
		}
	}
}

package journal

// servable says whether a server can do something about what a program sent.
func (w *world) servable(p int) bool {
	u := &w.users[p]
	v := &w.servers[u.to]
	if v.core == nil {
		return true // nobody is there
	}
	if !v.ready || v.core.phase != serving {
		return false
	}
	at := v.find(u.handle)
	switch u.asks {
	case access:
		// In a grace period tokens alone count: what is recorded may be over.
		if v.core.grace {
			return v.ended&(1<<u.handle) != 0
		}
		return at < 0 || w.has(v, v.table[at].index) && (v.table[at].first == u.attempt || w.fresh(v))
	case renew:
		if at < 0 {
			return true
		}
		return u.epoch > v.core.term.Epoch || w.fresh(v) && w.has(v, v.table[at].index)
	case release:
		return at < 0 || w.has(v, v.table[at].index)
	}
	return true
}

func (v *server) find(handle byte) int {
	for i := range v.table {
		if v.table[i].handle == handle {
			return i
		}
	}
	return -1
}

func (v *server) held() (n int) {
	for i := range v.table {
		if v.table[i].handle != 0 {
			n++
		}
	}
	return n
}

func (w *world) applyUser(s step) {
	u := &w.users[s.a]
	switch s.op {
	case opAsk:
		u.asks, u.to, u.sent, u.answered = want(s.b&15), int(s.b>>4), w.now, false
		w.attempts++
		u.attempt = w.attempts
		if u.asks == access && u.handle == 0 {
			u.used++
			u.handle = 1 + s.a*16 + u.used
		}
		if u.asks == release {
			u.has = false
		}
		if v := &w.servers[u.to]; v.core != nil && v.core.phase == serving && !v.core.fresh(w.moment()) {
			v.core.want(w.moment())
			w.pump(u.to)
		}
	case opServe:
		w.serve(int(s.a))
	case opAnswer:
		w.hear(u)
	case opGiveUp:
		if u.asks == release {
			u.handle = 0
		}
		u.asks, u.answered = nothing, false
	case opQuit:
		u.has, u.handle = false, 0
	}
}

// hear takes an answer.
func (w *world) hear(u *program) {
	from := u.sent
	if w.v.lateValidity {
		from = w.now
	}
	switch {
	case u.asks == release, u.gone:
		u.has, u.handle = false, 0
	case u.ok:
		u.has, u.n, u.epoch = true, u.g.n, u.gEpoch
		u.deadline = max(u.deadline, from+lifetime)
		if u.asks == access {
			u.deadline = from + lifetime
		}
		w.answered |= 1 << u.handle
	}
	u.asks, u.answered = nothing, false
}

// serve has a server deal with a request: it decides, or answers.
func (w *world) serve(p int) {
	u := &w.users[p]
	v := &w.servers[u.to]
	u.ok, u.gone = false, false
	if v.core == nil {
		u.answered = true
		return
	}
	at := v.find(u.handle)
	switch u.asks {
	case access:
		if at < 0 {
			w.grant(u, v)
			return
		}
		if e := &v.table[at]; e.first == u.attempt { // no repeat: its time counts from the decision
			u.answered, u.ok, u.seat, u.g, u.gEpoch = true, true, at, *e, v.core.term.Epoch
			return
		}
		w.prolong(u, v, at)
	case renew:
		switch {
		case u.epoch > v.core.term.Epoch && !w.v.refusesNewer:
			w.seen["servers that saw a newer token"]++
			w.stop(u.to)
			u.answered = true
		case at >= 0 && v.table[at].n == u.n || at >= 0 && w.v.sameN:
			w.prolong(u, v, at)
		case at < 0 && v.table[u.seat].n < u.n && v.core.grace && v.ended&(1<<u.handle) == 0:
			// Whoever is there has lost the seat since: the newer n tells.
			v.ended |= 1 << v.table[u.seat].handle
			v.table[u.seat].n = u.n - 1
			w.change(v, u.seat, u.handle, w.now+lifetime)
			w.seen["lost handles taken in"]++
			w.pump(u.to)
		default:
			w.refuse(u, "unknown")
		}
	case release:
		if w.v.oldRelease {
			at = u.seat
		}
		if at >= 0 {
			v.ended |= 1 << u.handle
			w.change(v, at, 0, 0)
			w.pump(u.to)
			return // answered when it is asked about again
		}
		u.answered = true
	}
}

func (w *world) grant(u *program, v *server) {
	if v.ended&(1<<u.handle) != 0 {
		u.gone, u.answered = true, true
		return
	}
	if v.held() >= quantity {
		u.answered = true
		w.seen["refused: all taken"]++
		return
	}
	at := 0
	if v.table[0].handle != 0 || (v.table[1].handle == 0 && u.attempt%2 == 1) {
		at = 1 // any number will do: what a handle costs is not in it
	}
	w.change(v, at, u.handle, w.now+lifetime)
	v.table[at].first = u.attempt
	w.seen["grants"]++
	w.pump(u.to)
}

// prolong starts a handle's lease anew and answers.
func (w *world) prolong(u *program, v *server, at int) {
	e := &v.table[at]
	if e.until <= w.now {
		w.refuse(u, "expired")
		return
	}
	e.until = max(e.until, w.now+lifetime)
	u.answered, u.ok, u.seat, u.g, u.gEpoch = true, true, at, *e, v.core.term.Epoch
	if w.lastLead != u.to+1 {
		w.seen["renewals by a leader that was replaced"]++
	}
	w.seen["renewals"]++
}

// refuse tells a program that its handle is over: never while it counts on it.
func (w *world) refuse(u *program, why string) {
	if u.valid(w.now) && !w.twice {
		w.contradiction("a program with a seat is refused: %s", why)
	}
	if u.valid(w.now) {
		w.seen["refused after more than one loss"]++
	}
	u.answered, u.gone = true, true
}

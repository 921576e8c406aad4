package core

// Beside begins f in a goroutine of its own, and gives what waits for its result.
// A panic of f comes out there, and so ends no more than it would without.
func Beside[T any](f func() (T, error)) (wait func() (T, error)) {
	var v T
	var err error
	var panicked any
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { panicked = recover() }()
		v, err = f()
	}()
	return func() (T, error) {
		<-done
		if panicked != nil {
			panic(panicked)
		}
		return v, err
	}
}

// Package testenv gives tests the real servers that they need: a PostgreSQL
// database of their own, a private Redis. It is imported by tests only.
//
// One PostgreSQL cluster per test process is made on first use, in a short
// temporary folder, with fsync off; each test gets a database of its own,
// cloned from a template. Each test that asks for Redis gets a server of its
// own. A missing program fails the test and says what to install: nothing is
// skipped silently.
//
// Nothing outlives the test process, however it ends. The servers are started
// from one locked thread that lives as long as the process, with a parent death
// signal (which the kernel sends when the starting thread ends, so any other
// thread would not do). A small watchdog process that holds the read end of a
// pipe sees the same end, kills what is left and removes the folder.
package testenv

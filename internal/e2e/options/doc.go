// Package options shows what each option of a license does, on a plain license
// server over a container's file and on a TMR group of three: sealed updates set,
// change and remove it, and programs ask over the network, all in one process
// and a synctest bubble.
package options

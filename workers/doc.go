// Package workers runs the platform's durable jobs, one file per kind.
//
// A job is a row in the application's own database, written in the same
// transaction as the change that calls for it, so neither is there without the
// other. Each job only says what to look at: what to do is read from the rows,
// under a lock, when it runs. So a job may run twice, at the same time in two
// processes, or be killed half way, and the end is the same; and since nothing
// is known by the job alone, a sweep at the start and every few seconds makes
// up for jobs that died with their process.
//
// River keeps the jobs. It is polled, which both databases and every pooler
// allow. Nothing outside this package knows of it.
package workers

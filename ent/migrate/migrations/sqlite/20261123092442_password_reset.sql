-- Disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- Create "new_users" table
CREATE TABLE `new_users` (`id` text NOT NULL, `created_at` datetime NOT NULL, `email` text NOT NULL, `name` text NOT NULL, `password_hash` text NULL, `totp_secret` blob NULL, `totp_at` datetime NULL, `totp_step` integer NOT NULL DEFAULT (0), `recovery` json NULL, `reset_digest` blob NULL, `reset_until` datetime NULL, `reset_second` bool NOT NULL DEFAULT (false), `password_at` datetime NULL, PRIMARY KEY (`id`));
-- Copy rows from old table "users" to new temporary table "new_users"
INSERT INTO `new_users` (`id`, `created_at`, `email`, `name`, `password_hash`, `totp_secret`, `totp_at`, `totp_step`, `recovery`, `password_at`) SELECT `id`, `created_at`, `email`, `name`, `password_hash`, `totp_secret`, `totp_at`, `totp_step`, `recovery`, `password_at` FROM `users`;
-- Drop "users" table after copying rows
DROP TABLE `users`;
-- Rename temporary table "new_users" to "users"
ALTER TABLE `new_users` RENAME TO `users`;
-- Create index "users_email_key" to table: "users"
CREATE UNIQUE INDEX `users_email_key` ON `users` (`email`);
-- Create index "users_reset_digest_key" to table: "users"
CREATE UNIQUE INDEX `users_reset_digest_key` ON `users` (`reset_digest`);
-- Enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;

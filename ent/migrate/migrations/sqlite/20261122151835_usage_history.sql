-- Disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- Create "new_allocations" table
CREATE TABLE `new_allocations` (`id` text NOT NULL, `created_at` datetime NOT NULL, `handle` text NOT NULL, `mode` text NOT NULL, `licenses` integer NOT NULL DEFAULT (1), `asked` integer NOT NULL DEFAULT (1), `seat` integer NOT NULL, `n` integer NOT NULL, `client` text NOT NULL, `user` text NOT NULL, `station` text NOT NULL, `process_id` integer NOT NULL, `application` text NOT NULL, `state` text NOT NULL, `first_access` datetime NOT NULL, `last_access` datetime NOT NULL, `ended_at` datetime NULL, `ended_by` text NULL, `borrowed` bool NOT NULL DEFAULT (false), `removal_at` datetime NULL, `removal_by` text NULL, `removal_code` text NULL, `removal_message` text NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `product_id` text NOT NULL, `container_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `allocations_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `allocations_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `allocations_products_product` FOREIGN KEY (`product_id`) REFERENCES `products` (`id`) ON DELETE NO ACTION, CONSTRAINT `allocations_containers_allocations` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE NO ACTION);
-- Copy rows from old table "allocations" to new temporary table "new_allocations"
INSERT INTO `new_allocations` (`id`, `created_at`, `handle`, `mode`, `licenses`, `seat`, `n`, `client`, `user`, `station`, `process_id`, `application`, `state`, `first_access`, `last_access`, `ended_at`, `ended_by`, `vendor_id`, `customer_id`, `product_id`, `container_id`) SELECT `id`, `created_at`, `handle`, `mode`, `licenses`, `seat`, `n`, `client`, `user`, `station`, `process_id`, `application`, `state`, `first_access`, `last_access`, `ended_at`, `ended_by`, `vendor_id`, `customer_id`, `product_id`, `container_id` FROM `allocations`;
-- Drop "allocations" table after copying rows
DROP TABLE `allocations`;
-- Rename temporary table "new_allocations" to "allocations"
ALTER TABLE `new_allocations` RENAME TO `allocations`;
-- Create index "allocation_vendor_id_id" to table: "allocations"
CREATE INDEX `allocation_vendor_id_id` ON `allocations` (`vendor_id`, `id`);
-- Create index "allocation_customer_id_id" to table: "allocations"
CREATE INDEX `allocation_customer_id_id` ON `allocations` (`customer_id`, `id`);
-- Create index "allocation_container_id_handle" to table: "allocations"
CREATE UNIQUE INDEX `allocation_container_id_handle` ON `allocations` (`container_id`, `handle`);
-- Create index "allocation_container_id_state_id" to table: "allocations"
CREATE INDEX `allocation_container_id_state_id` ON `allocations` (`container_id`, `state`, `id`);
-- Create index "allocation_vendor_id_state_id" to table: "allocations"
CREATE INDEX `allocation_vendor_id_state_id` ON `allocations` (`vendor_id`, `state`, `id`);
-- Create index "allocation_customer_id_state_id" to table: "allocations"
CREATE INDEX `allocation_customer_id_state_id` ON `allocations` (`customer_id`, `state`, `id`);
-- Create index "allocation_container_id_product_id_state_user" to table: "allocations"
CREATE INDEX `allocation_container_id_product_id_state_user` ON `allocations` (`container_id`, `product_id`, `state`, `user`);
-- Create index "allocation_container_id_product_id_state_station" to table: "allocations"
CREATE INDEX `allocation_container_id_product_id_state_station` ON `allocations` (`container_id`, `product_id`, `state`, `station`);
-- Create index "allocation_container_id_product_id_ended_at" to table: "allocations"
CREATE INDEX `allocation_container_id_product_id_ended_at` ON `allocations` (`container_id`, `product_id`, `ended_at`);
-- Create index "allocation_ended_at" to table: "allocations"
CREATE INDEX `allocation_ended_at` ON `allocations` (`ended_at`);
-- Create "new_denials" table
CREATE TABLE `new_denials` (`id` text NOT NULL, `created_at` datetime NOT NULL, `position` integer NOT NULL, `at` datetime NOT NULL, `reason` text NOT NULL, `client` text NOT NULL, `user` text NOT NULL, `application` text NOT NULL, `station` text NOT NULL DEFAULT (''), `mode` text NOT NULL DEFAULT ('USER_LIMIT'), `licenses` integer NOT NULL DEFAULT (1), `rule` text NOT NULL DEFAULT (''), `vendor_id` text NOT NULL, `customer_id` text NULL, `container_id` text NOT NULL, `product_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `denials_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `denials_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `denials_containers_container` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE NO ACTION, CONSTRAINT `denials_products_product` FOREIGN KEY (`product_id`) REFERENCES `products` (`id`) ON DELETE NO ACTION);
-- Copy rows from old table "denials" to new temporary table "new_denials"
INSERT INTO `new_denials` (`id`, `created_at`, `position`, `at`, `reason`, `client`, `user`, `application`, `vendor_id`, `customer_id`, `container_id`, `product_id`) SELECT `id`, `created_at`, `position`, `at`, `reason`, `client`, `user`, `application`, `vendor_id`, `customer_id`, `container_id`, `product_id` FROM `denials`;
-- Drop "denials" table after copying rows
DROP TABLE `denials`;
-- Rename temporary table "new_denials" to "denials"
ALTER TABLE `new_denials` RENAME TO `denials`;
-- Create index "denial_vendor_id_id" to table: "denials"
CREATE INDEX `denial_vendor_id_id` ON `denials` (`vendor_id`, `id`);
-- Create index "denial_customer_id_id" to table: "denials"
CREATE INDEX `denial_customer_id_id` ON `denials` (`customer_id`, `id`);
-- Create index "denial_container_id_position" to table: "denials"
CREATE UNIQUE INDEX `denial_container_id_position` ON `denials` (`container_id`, `position`);
-- Create index "denial_container_id_at" to table: "denials"
CREATE INDEX `denial_container_id_at` ON `denials` (`container_id`, `at`);
-- Create index "denial_at" to table: "denials"
CREATE INDEX `denial_at` ON `denials` (`at`);
-- Create "usage_buckets" table
CREATE TABLE `usage_buckets` (`id` text NOT NULL, `created_at` datetime NOT NULL, `seconds` integer NOT NULL, `start` datetime NOT NULL, `until` datetime NOT NULL, `open_taken` integer NOT NULL, `open_quantity` integer NOT NULL, `open_users` integer NOT NULL, `open_stations` integer NOT NULL, `taken` integer NOT NULL, `quantity` integer NOT NULL, `users` integer NOT NULL, `stations` integer NOT NULL, `most_taken` integer NOT NULL, `most_quantity` integer NOT NULL, `taken_ms` integer NOT NULL, `full_ms` integer NOT NULL, `distinct_users` integer NOT NULL, `distinct_stations` integer NOT NULL, `granted` integer NOT NULL, `released` integer NOT NULL, `expired` integer NOT NULL, `removed` integer NOT NULL, `denied` integer NOT NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `series_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `usage_buckets_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `usage_buckets_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `usage_buckets_usage_series_buckets` FOREIGN KEY (`series_id`) REFERENCES `usage_series` (`id`) ON DELETE NO ACTION);
-- Create index "usagebucket_vendor_id_id" to table: "usage_buckets"
CREATE INDEX `usagebucket_vendor_id_id` ON `usage_buckets` (`vendor_id`, `id`);
-- Create index "usagebucket_customer_id_id" to table: "usage_buckets"
CREATE INDEX `usagebucket_customer_id_id` ON `usage_buckets` (`customer_id`, `id`);
-- Create index "usagebucket_series_id_seconds_start" to table: "usage_buckets"
CREATE UNIQUE INDEX `usagebucket_series_id_seconds_start` ON `usage_buckets` (`series_id`, `seconds`, `start`);
-- Create index "usagebucket_seconds_start" to table: "usage_buckets"
CREATE INDEX `usagebucket_seconds_start` ON `usage_buckets` (`seconds`, `start`);
-- Create "usage_entries" table
CREATE TABLE `usage_entries` (`id` text NOT NULL, `created_at` datetime NOT NULL, `number` integer NOT NULL, `hash` blob NOT NULL, `line` text NOT NULL, `source` text NOT NULL, `seq` integer NOT NULL, `missing` integer NOT NULL DEFAULT (0), `vendor_id` text NOT NULL, `customer_id` text NULL, `log_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `usage_entries_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `usage_entries_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `usage_entries_usage_logs_entries` FOREIGN KEY (`log_id`) REFERENCES `usage_logs` (`id`) ON DELETE NO ACTION);
-- Create index "usageentry_vendor_id_id" to table: "usage_entries"
CREATE INDEX `usageentry_vendor_id_id` ON `usage_entries` (`vendor_id`, `id`);
-- Create index "usageentry_customer_id_id" to table: "usage_entries"
CREATE INDEX `usageentry_customer_id_id` ON `usage_entries` (`customer_id`, `id`);
-- Create index "usageentry_log_id_number" to table: "usage_entries"
CREATE UNIQUE INDEX `usageentry_log_id_number` ON `usage_entries` (`log_id`, `number`);
-- Create index "usageentry_log_id_source_number" to table: "usage_entries"
CREATE INDEX `usageentry_log_id_source_number` ON `usage_entries` (`log_id`, `source`, `number`);
-- Create index "usageentry_log_id_missing_number" to table: "usage_entries"
CREATE INDEX `usageentry_log_id_missing_number` ON `usage_entries` (`log_id`, `missing`, `number`);
-- Create "usage_logs" table
CREATE TABLE `usage_logs` (`id` text NOT NULL, `created_at` datetime NOT NULL, `number` integer NOT NULL DEFAULT (0), `hash` blob NOT NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `firm_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `usage_logs_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `usage_logs_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `usage_logs_firms_firm` FOREIGN KEY (`firm_id`) REFERENCES `firms` (`id`) ON DELETE NO ACTION);
-- Create index "usagelog_vendor_id_id" to table: "usage_logs"
CREATE INDEX `usagelog_vendor_id_id` ON `usage_logs` (`vendor_id`, `id`);
-- Create index "usagelog_customer_id_id" to table: "usage_logs"
CREATE INDEX `usagelog_customer_id_id` ON `usage_logs` (`customer_id`, `id`);
-- Create "usage_series" table
CREATE TABLE `usage_series` (`id` text NOT NULL, `created_at` datetime NOT NULL, `since` datetime NOT NULL, `at` datetime NOT NULL, `taken` integer NOT NULL DEFAULT (0), `quantity` integer NOT NULL DEFAULT (0), `users` integer NOT NULL DEFAULT (0), `stations` integer NOT NULL DEFAULT (0), `changes` json NULL, `granted` integer NOT NULL DEFAULT (0), `released` integer NOT NULL DEFAULT (0), `expired` integer NOT NULL DEFAULT (0), `removed` integer NOT NULL DEFAULT (0), `denied` integer NOT NULL DEFAULT (0), `vendor_id` text NOT NULL, `customer_id` text NULL, `container_id` text NOT NULL, `product_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `usage_series_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `usage_series_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `usage_series_containers_container` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE NO ACTION, CONSTRAINT `usage_series_products_product` FOREIGN KEY (`product_id`) REFERENCES `products` (`id`) ON DELETE NO ACTION);
-- Create index "usageseries_vendor_id_id" to table: "usage_series"
CREATE INDEX `usageseries_vendor_id_id` ON `usage_series` (`vendor_id`, `id`);
-- Create index "usageseries_customer_id_id" to table: "usage_series"
CREATE INDEX `usageseries_customer_id_id` ON `usage_series` (`customer_id`, `id`);
-- Create index "usageseries_container_id_product_id" to table: "usage_series"
CREATE UNIQUE INDEX `usageseries_container_id_product_id` ON `usage_series` (`container_id`, `product_id`);
-- Enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;

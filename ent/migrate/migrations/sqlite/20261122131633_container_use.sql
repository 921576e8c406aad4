-- Disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- Create "new_containers" table
CREATE TABLE `new_containers` (`id` text NOT NULL, `created_at` datetime NOT NULL, `serial` text NOT NULL, `kind` text NOT NULL, `position` integer NULL, `activation_id` blob NULL, `sign_key` blob NULL, `seal_key` blob NULL, `manipulation_suspected` bool NOT NULL DEFAULT (false), `suspect_reason` text NULL, `suspect_fingerprint` blob NULL, `blocked_at` datetime NULL, `block_reason` text NULL, `trail_count` integer NOT NULL DEFAULT (0), `trail_value` blob NULL, `linked_at` datetime NULL, `clients` integer NOT NULL DEFAULT (0), `event_position` integer NOT NULL DEFAULT (0), `served` json NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `replaced_by_id` text NULL, `tmr_group_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `containers_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `containers_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `containers_containers_replaces` FOREIGN KEY (`replaced_by_id`) REFERENCES `containers` (`id`) ON DELETE SET NULL, CONSTRAINT `containers_tmr_groups_containers` FOREIGN KEY (`tmr_group_id`) REFERENCES `tmr_groups` (`id`) ON DELETE SET NULL);
-- Copy rows from old table "containers" to new temporary table "new_containers"
INSERT INTO `new_containers` (`id`, `created_at`, `serial`, `kind`, `position`, `activation_id`, `sign_key`, `seal_key`, `manipulation_suspected`, `suspect_reason`, `suspect_fingerprint`, `blocked_at`, `block_reason`, `trail_count`, `trail_value`, `linked_at`, `vendor_id`, `customer_id`, `replaced_by_id`, `tmr_group_id`) SELECT `id`, `created_at`, `serial`, `kind`, `position`, `activation_id`, `sign_key`, `seal_key`, `manipulation_suspected`, `suspect_reason`, `suspect_fingerprint`, `blocked_at`, `block_reason`, `trail_count`, `trail_value`, `linked_at`, `vendor_id`, `customer_id`, `replaced_by_id`, `tmr_group_id` FROM `containers`;
-- Drop "containers" table after copying rows
DROP TABLE `containers`;
-- Rename temporary table "new_containers" to "containers"
ALTER TABLE `new_containers` RENAME TO `containers`;
-- Create index "containers_serial_key" to table: "containers"
CREATE UNIQUE INDEX `containers_serial_key` ON `containers` (`serial`);
-- Create index "container_vendor_id_id" to table: "containers"
CREATE INDEX `container_vendor_id_id` ON `containers` (`vendor_id`, `id`);
-- Create index "container_customer_id_id" to table: "containers"
CREATE INDEX `container_customer_id_id` ON `containers` (`customer_id`, `id`);
-- Create index "container_tmr_group_id_position" to table: "containers"
CREATE UNIQUE INDEX `container_tmr_group_id_position` ON `containers` (`tmr_group_id`, `position`);
-- Enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;

-- Disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- Create "new_allocations" table
CREATE TABLE `new_allocations` (`id` text NOT NULL, `created_at` datetime NOT NULL, `handle` text NOT NULL, `mode` text NOT NULL, `licenses` integer NOT NULL DEFAULT (1), `asked` integer NOT NULL DEFAULT (1), `seat` integer NOT NULL, `n` integer NOT NULL, `client` text NOT NULL, `user` text NOT NULL, `station` text NOT NULL, `process_id` integer NOT NULL, `application` text NOT NULL, `state` text NOT NULL, `first_access` datetime NOT NULL, `last_access` datetime NOT NULL, `ended_at` datetime NULL, `ended_by` text NULL, `borrowed` bool NOT NULL DEFAULT (false), `removal_at` datetime NULL, `removal_by` text NULL, `removal_code` text NULL, `removal_message` text NULL, `accesses` integer NOT NULL DEFAULT (0), `last_access_at` datetime NULL, `idle_since` datetime NULL, `expires_at` datetime NULL, `notice_at` datetime NULL, `notice_by` text NULL, `notice_text` text NULL, `notice_taken_at` datetime NULL, `notice_code` text NULL, `notice_message` text NULL, `vendor_id` text NOT NULL, `customer_id` text NULL, `product_id` text NOT NULL, `container_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `allocations_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `allocations_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `allocations_products_product` FOREIGN KEY (`product_id`) REFERENCES `products` (`id`) ON DELETE NO ACTION, CONSTRAINT `allocations_containers_allocations` FOREIGN KEY (`container_id`) REFERENCES `containers` (`id`) ON DELETE NO ACTION);
-- Copy rows from old table "allocations" to new temporary table "new_allocations"
INSERT INTO `new_allocations` (`id`, `created_at`, `handle`, `mode`, `licenses`, `asked`, `seat`, `n`, `client`, `user`, `station`, `process_id`, `application`, `state`, `first_access`, `last_access`, `ended_at`, `ended_by`, `borrowed`, `removal_at`, `removal_by`, `removal_code`, `removal_message`, `vendor_id`, `customer_id`, `product_id`, `container_id`) SELECT `id`, `created_at`, `handle`, `mode`, `licenses`, `asked`, `seat`, `n`, `client`, `user`, `station`, `process_id`, `application`, `state`, `first_access`, `last_access`, `ended_at`, `ended_by`, `borrowed`, `removal_at`, `removal_by`, `removal_code`, `removal_message`, `vendor_id`, `customer_id`, `product_id`, `container_id` FROM `allocations`;
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
-- Enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;

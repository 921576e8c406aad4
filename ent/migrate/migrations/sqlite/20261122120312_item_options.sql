-- Disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- Create "new_items" table
CREATE TABLE `new_items` (`id` text NOT NULL, `created_at` datetime NOT NULL, `name` text NOT NULL, `revision` integer NOT NULL DEFAULT (1), `quantity` integer NOT NULL, `activation` datetime NULL, `expiration` datetime NULL, `usage_period` integer NULL, `units` integer NULL, `issue` integer NOT NULL DEFAULT (0), `feature_map` integer NOT NULL DEFAULT (0), `maintenance_from` datetime NULL, `maintenance_until` datetime NULL, `minimum_version` text NULL, `text` text NULL, `access_list` json NULL, `linger` integer NULL, `protected_name` blob NULL, `protected_data` blob NULL, `secret_name` blob NULL, `secret_data` blob NULL, `tmr` bool NOT NULL DEFAULT (false), `vendor_id` text NOT NULL, `customer_id` text NULL, `product_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `items_organizations_vendor` FOREIGN KEY (`vendor_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `items_organizations_customer` FOREIGN KEY (`customer_id`) REFERENCES `organizations` (`id`) ON DELETE SET NULL, CONSTRAINT `items_products_items` FOREIGN KEY (`product_id`) REFERENCES `products` (`id`) ON DELETE NO ACTION);
-- Copy rows from old table "items" to new temporary table "new_items"
INSERT INTO `new_items` (`id`, `created_at`, `name`, `quantity`, `expiration`, `feature_map`, `tmr`, `vendor_id`, `customer_id`, `product_id`) SELECT `id`, `created_at`, `name`, `quantity`, `expiration`, `feature_map`, `tmr`, `vendor_id`, `customer_id`, `product_id` FROM `items`;
-- Drop "items" table after copying rows
DROP TABLE `items`;
-- Rename temporary table "new_items" to "items"
ALTER TABLE `new_items` RENAME TO `items`;
-- Create index "item_vendor_id_id" to table: "items"
CREATE INDEX `item_vendor_id_id` ON `items` (`vendor_id`, `id`);
-- Create index "item_customer_id_id" to table: "items"
CREATE INDEX `item_customer_id_id` ON `items` (`customer_id`, `id`);
-- Create index "item_product_id_name" to table: "items"
CREATE UNIQUE INDEX `item_product_id_name` ON `items` (`product_id`, `name`);
-- Add column "products" to table: "rollouts"
ALTER TABLE `rollouts` ADD COLUMN `products` json NULL;
-- Enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;

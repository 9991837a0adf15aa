CREATE TABLE items (item text PRIMARY KEY, stock int NOT NULL CHECK (stock >= 0));
CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text NOT NULL REFERENCES items, confirmed boolean NOT NULL DEFAULT false);
INSERT INTO items VALUES ('tea', 100), ('milk', 1);

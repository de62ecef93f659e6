CREATE SCHEMA shop;
CREATE TYPE shop.status AS ENUM ('new', 'paid', 'sent');
CREATE DOMAIN shop.email AS text CHECK (VALUE ~ '@');
CREATE TYPE shop.point AS (x int, y shop.email);
CREATE SEQUENCE shop.numbers;
CREATE FUNCTION shop.twice(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a * 2';
CREATE TABLE shop.customers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  gone int,
  email shop.email NOT NULL,
  name text COLLATE "C",
  tags text[],
  during daterange,
  spot shop.point,
  doubled int GENERATED ALWAYS AS (7 * 2) STORED,
  CONSTRAINT named CHECK (length(name) > 0),
  EXCLUDE USING gist (during WITH &&) WHERE (id < 0)
) WITH (fillfactor = 70);
ALTER TABLE shop.customers ALTER COLUMN name SET STATISTICS 500,
  ALTER COLUMN tags SET STORAGE EXTERNAL, ALTER COLUMN email SET (n_distinct = -0.5);
INSERT INTO shop.customers (email, name, tags, during, spot)
  SELECT 'a' || i || '@b', 'name ' || i % 50, ARRAY['t' || i % 7, 'it''s "q"'],
    daterange('2020-01-01'::date + i, '2020-02-01'::date + i), ('(' || i % 5 || ',x@y)')::shop.point
  FROM generate_series(1, 2000) AS i;
ALTER TABLE shop.customers DROP COLUMN gone CASCADE;
CREATE TABLE shop.orders (
  id int NOT NULL DEFAULT nextval('shop.numbers'),
  customer bigint REFERENCES shop.customers,
  placed date NOT NULL,
  status shop.status,
  a int, b int,
  PRIMARY KEY (id, placed)
) PARTITION BY RANGE (placed);
CREATE TABLE shop.orders_2020 (
  b int, a int, status shop.status, x int, placed date NOT NULL, customer bigint,
  id int NOT NULL DEFAULT nextval('shop.numbers')
);
ALTER TABLE shop.orders_2020 DROP COLUMN x;
ALTER TABLE shop.orders ATTACH PARTITION shop.orders_2020
  FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE shop.orders_rest PARTITION OF shop.orders DEFAULT;
CREATE INDEX orders_status ON shop.orders (status);
CREATE INDEX orders_expression ON shop.orders_2020 (shop.twice(a), (b + 1)) WHERE a > 3;
ALTER INDEX shop.orders_expression ALTER COLUMN 2 SET STATISTICS 50;
INSERT INTO shop.orders (customer, placed, status, a, b)
  SELECT i % 2000 + 1, '2020-01-01'::date + i % 500, (ARRAY['new', 'paid', 'sent'])[i % 3 + 1]::shop.status,
    i % 10, i % 10 + 1 FROM generate_series(1, 5000) AS i;
CREATE STATISTICS shop.together ON a, b FROM shop.orders;
CREATE STATISTICS shop.together_2020 ON a, b FROM shop.orders_2020;
CREATE UNLOGGED TABLE base (a int, b text);
CREATE TABLE child (c int) INHERITS (base);
INSERT INTO child SELECT i, i::text, i % 3 FROM generate_series(1, 500) AS i;
CREATE INDEX child_gin ON child USING gin (to_tsvector('english', b));
CREATE VIEW shop.open WITH (security_barrier = true) AS
  SELECT o.id, c.name FROM shop.orders AS o JOIN shop.customers AS c ON c.id = o.customer
  WHERE o.status <> 'sent';
CREATE MATERIALIZED VIEW shop.totals AS SELECT status, count(*) AS orders FROM shop.orders GROUP BY 1;
CREATE UNIQUE INDEX totals_status ON shop.totals (status);
CREATE POLICY own ON shop.customers FOR SELECT TO PUBLIC USING (id > 0);
ALTER TABLE shop.customers ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION shop.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER before_insert BEFORE INSERT ON base FOR EACH ROW EXECUTE FUNCTION shop.nothing();
CREATE RULE nothing AS ON DELETE TO base DO INSTEAD NOTHING;
ALTER TABLE base ADD CONSTRAINT unproved CHECK (a < 400) NOT VALID;
ANALYZE;

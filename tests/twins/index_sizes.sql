CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE TYPE mood AS ENUM ('a','b','c','d');
CREATE TABLE s (
 id int8 not null, i4 int4, i4_100 int4, i4_5k int4, i4_50k int4, i8_1k int8, i2 int2, skew int4, zipf int4,
 b bool, e mood, txt text, txt_1k text, txt_wide text, txt_pref text, vc varchar(20), u uuid, num numeric, num_100 numeric, money numeric(10,2),
 ts timestamptz, ts_day timestamp, d date, f8 float8, n_half int4, n_90 int4, n_txt text, mail text, bpc char(10),
 arr int[], tarr text[], doc jsonb, tsv tsvector, pt point, r int4range, ip inet, code text, ncat text);
SELECT setseed(0.42);
INSERT INTO s SELECT i, i, i%100, (random()*5000)::int, (random()*50000)::int, (random()*1000)::int, (i%300)::int2,
 CASE WHEN random()<0.9 THEN 1 ELSE (random()*20000)::int END, floor(exp(random()*ln(100000)))::int,
 random()<0.3, (ARRAY['a','b','c','d'])[1+(random()*3)::int]::mood,
 md5(i::text), 'value '||(random()*1000)::int, repeat(md5(i::text),4), 'https://www.example.com/shop/products/'||i, 'v'||(random()*100000)::int, md5(i::text)::uuid,
 (random()*1e9)::numeric(20,3), (i%100)::numeric, (random()*1000)::numeric(10,2),
 '2024-01-01'::timestamptz + i*interval '37 seconds', '2024-01-01'::timestamp+ (i/1000)*interval '1 day', '2020-01-01'::date+(random()*1500)::int, random(),
 CASE WHEN i%2=0 THEN i END, CASE WHEN i%10=0 THEN i END, CASE WHEN random()<0.3 THEN 'text '||i END,
 lower('User'||i||'@example'||(i%50)||'.com'), ('c'||(i%20)::text)::char(10),
 ARRAY[(random()*1000)::int,(random()*1000)::int,(random()*1000)::int], ARRAY['t'||(random()*200)::int,'t'||(random()*200)::int],
 jsonb_build_object('status',(ARRAY['new','paid','sent'])[1+i%3],'customer',(random()*5000)::int,'tags',jsonb_build_array('x'||(i%20),'y'||(i%7))),
 to_tsvector('simple','word'||(random()*3000)::int||' word'||(random()*3000)::int||' term'||(i%100)||' common text here'),
 point(random()*1000,random()*1000), int4range((random()*10000)::int,10001+(random()*1000)::int), ('10.'||(i%256)||'.'||(random()*255)::int||'.'||(random()*255)::int)::inet,
 'C-'||lpad((random()*20000)::int::text,6,'0'), (ARRAY['alpha','beta','gamma','delta beta'])[1+(random()*3)::int]
FROM generate_series(1,100000) i;
CREATE STATISTICS s_nd (ndistinct) ON i4_100, i2 FROM s;

VACUUM s;

ANALYZE s;

CREATE UNIQUE INDEX unique_bigint ON s (id);
CREATE INDEX unique_int ON s (i4);
CREATE INDEX int_100 ON s (i4_100);
CREATE INDEX int_5k ON s (i4_5k);
CREATE INDEX int_50k ON s (i4_50k);
CREATE INDEX bigint_1k ON s (i8_1k);
CREATE INDEX small ON s (i2);
CREATE INDEX skewed ON s (skew);
CREATE INDEX zipf ON s (zipf);
CREATE INDEX boolean ON s (b);
CREATE INDEX enumeration ON s (e);
CREATE INDEX text_md5 ON s (txt);
CREATE INDEX text_1k ON s (txt_1k);
CREATE INDEX text_wide ON s (txt_wide);
CREATE INDEX text_common_prefix ON s (txt_pref);
CREATE INDEX text_few ON s (ncat);
CREATE INDEX text_code ON s (code);
CREATE INDEX text_pattern ON s (txt_pref text_pattern_ops);
CREATE INDEX varying ON s (vc);
CREATE INDEX padded ON s (bpc);
CREATE INDEX mail ON s (mail);
CREATE INDEX uuids ON s (u);
CREATE INDEX numbers ON s (num);
CREATE INDEX numbers_100 ON s (num_100);
CREATE INDEX money ON s (money);
CREATE INDEX times ON s (ts);
CREATE INDEX times_desc ON s (ts DESC NULLS LAST);
CREATE INDEX days_timestamp ON s (ts_day);
CREATE INDEX days ON s (d);
CREATE INDEX doubles ON s (f8);
CREATE INDEX addresses ON s (ip);
CREATE INDEX half_null ON s (n_half);
CREATE INDEX mostly_null ON s (n_90);
CREATE INDEX text_null ON s (n_txt);
CREATE INDEX two_ints ON s (i4_100, i4_5k);
CREATE INDEX two_small ON s (i4_100, e);
CREATE INDEX two_correlated ON s (i4_100, i2);
CREATE INDEX few_and_time ON s (e, ts);
CREATE INDEX int_and_bigint ON s (i4_5k, id);
CREATE INDEX three ON s (b, e, d);
CREATE INDEX text_and_int ON s (txt_1k, i4_100);
CREATE INDEX null_and_int ON s (n_half, i4_100);
CREATE INDEX day_and_number ON s (d, money);
CREATE INDEX include_one ON s (i4_5k) INCLUDE (id);
CREATE INDEX include_text ON s (id) INCLUDE (txt, b);
CREATE INDEX include_few ON s (i4_100) INCLUDE (e);
CREATE INDEX full_pages ON s (i4) WITH (fillfactor = 100);
CREATE INDEX half_pages ON s (i4_5k) WITH (fillfactor = 50);
CREATE INDEX not_deduplicated ON s (i4_100) WITH (deduplicate_items = off);
CREATE INDEX partial_ten_percent ON s (i4) WHERE i4 <= 10000;
CREATE INDEX partial_half ON s (d) WHERE i4 <= 50000;
CREATE INDEX partial_of_few_values ON s (i4_100) WHERE i4_100 < 20;
CREATE INDEX partial_not_null ON s (n_90) WHERE n_90 IS NOT NULL;
CREATE INDEX expression_lower ON s (lower(mail));
CREATE INDEX expression_day ON s ((ts_day::date));
CREATE INDEX expression_modulo ON s ((i4 % 1000));
CREATE INDEX expression_json ON s ((doc ->> 'status'));
CREATE INDEX hash_uuid ON s USING hash (u);
CREATE INDEX hash_int ON s USING hash (i4_5k);
CREATE INDEX hash_few ON s USING hash (i4_100);
CREATE INDEX gin_ints ON s USING gin (arr);
CREATE INDEX gin_texts ON s USING gin (tarr);
CREATE INDEX gin_json ON s USING gin (doc);
CREATE INDEX gin_json_path ON s USING gin (doc jsonb_path_ops);
CREATE INDEX gin_words ON s USING gin (tsv);
CREATE INDEX gin_trigrams ON s USING gin (mail gin_trgm_ops);
CREATE INDEX gist_points ON s USING gist (pt);
CREATE INDEX gist_ranges ON s USING gist (r);
CREATE INDEX spgist_points ON s USING spgist (pt);
CREATE INDEX spgist_text ON s USING spgist (txt);
CREATE INDEX brin_time ON s USING brin (ts);
CREATE INDEX brin_fine ON s USING brin (ts, id) WITH (pages_per_range = 1);

ANALYZE s;

import sys, traceback, pytest, sqlite3
sys.path.insert(0,"/work/main/tests/cli")
from contextlib import closing
exec(open("/work/main/tests/cli/test_hostile.py").read().split("@pytest.mark.parametrize(\"table\"")[0])
def test_scan(spool, deepchecks, home):
    seen={}
    for table,column in columns():
        for value in VALUES:
            for look in LOOKS:
                if look[-1] in ("--events","catalogue","SELECT * FROM batches") : continue
                for path in (home / "state").iterdir(): path.unlink()
                (home / "state" / "spool.db").write_bytes(spool); (home/"config"/"mode").unlink(missing_ok=True)
                with closing(sqlite3.connect(home / "state" / "spool.db", isolation_level=None)) as c:
                    c.execute("PRAGMA ignore_check_constraints = ON")
                    try: c.execute(f"UPDATE {table} SET {column} = ?", [value])
                    except sqlite3.IntegrityError: continue
                try: done = deepchecks(*look)
                except Exception as e:
                    f=traceback.extract_tb(e.__traceback__)[-1]
                    k=f"{type(e).__name__} {str(e)[:60]} {f.filename.split('/')[-1]}:{f.lineno} {f.line}"
                    seen.setdefault(k,[]).append((table,column,repr(value)[:12],look[0]))
                    continue
                if not (done.stdout+done.stderr).replace("\n","").isprintable(): seen.setdefault("unprintable",[]).append((table,column,repr(value)[:12],look))
                if done.returncode and look!=["doctor"] and not done.stderr.startswith("Error: "): seen.setdefault("noerror",[]).append((table,column,value,look,done.stderr))
    for k,v in seen.items(): print(k,len(v),v[:3])

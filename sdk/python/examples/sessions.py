"""A sandbox that stays: commands, code and files in one workspace."""
import os

from dunlin import Client

with Client(os.environ.get("DUNLIN_URL", "http://localhost:8000")) as client:
    with client.create_session(size="50M", labels={"example": "sessions"}) as session:
        session.write("data/words.txt", "one\ntwo\nthree\n")
        print("lines:", session.exec("wc -l < data/words.txt").stdout.strip())
        session.run("open('made.txt', 'w').write('by Python')")
        print("text:", session.read_text("made.txt"))
        print("files:", sorted(file.path for file in session.list(recursive=True) if file.type == "file"))
        snapshot = session.snapshot("before")
        session.remove("made.txt")
        session.restore(snapshot)
        print("restored:", session.exists("made.txt"))
        client.delete_snapshot(snapshot.id)

"""What a data source made for vCenter does, with nothing of its own but the address: log in, list hosts, read, add, log out.

    vsphere_client.py ADDRESS USER BYTES [CA]      the password comes on standard input; BYTES are added in one request
"""

import base64
import http.client
import json
import os
import ssl
import sys


class Server:
    def __init__(self, address, ca):
        host, port = address.rsplit(":", 1)
        if ca is None:
            self.connection = http.client.HTTPConnection(host, int(port), timeout=20)
        else:
            context = ssl.create_default_context(cafile=ca)
            self.connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=20)
        self.headers = {"Accept": "application/json"}

    def call(self, method, path, body=None, **headers):
        text = None if body is None else json.dumps(body)
        content = {} if body is None else {"Content-Type": "application/json"}
        self.connection.request(method, path, text, {**self.headers, **content, **headers})
        response = self.connection.getresponse()
        answer = response.read()
        return response.status, json.loads(answer) if answer else None


def main():
    address, user, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
    server = Server(address, sys.argv[4] if len(sys.argv) > 4 else None)
    secret = base64.b64encode(f"{user}:{sys.stdin.readline().rstrip()}".encode()).decode()

    status, token = server.call("POST", "/api/session", Authorization=f"Basic {secret}")
    assert status == 201, (status, token)
    server.headers["vmware-api-session-id"] = token
    status, hosts = server.call("GET", "/api/vcenter/host")
    assert status == 200 and len(hosts) == 1, (status, hosts)
    status, same = server.call("GET", f"/api/vcenter/host?names={hosts[0]['name']}")
    assert same == hosts, same

    pool = f"/api/vcenter/host/{hosts[0]['host']}/entropy/external-pool"
    status, before = server.call("GET", pool)
    assert status == 200 and before["status"] == "ENABLED", (status, before)
    room = before["capacity"] - before["currently_available"]
    data = base64.b64encode(os.urandom(size)).decode()
    status, after = server.call("POST", f"{pool}?action=add", {"data": data})
    assert status == 200, (status, after)
    status, refused = server.call("GET", "/api/vcenter/host/host-0/entropy/external-pool")
    assert status == 404 and refused["error_type"] == "NOT_FOUND", (status, refused)

    status, nothing = server.call("DELETE", "/api/session")
    assert status == 204 and nothing is None, (status, nothing)
    status, refused = server.call("GET", pool)
    assert status == 401 and refused["error_type"] == "UNAUTHENTICATED", (status, refused)
    print(json.dumps({"room": room, "before": before, "after": after}))


main()

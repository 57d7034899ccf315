"""A real RTSP camera for tests: GStreamer's server playing a clip, as its own process.

Debian's Python runs it, which has GStreamer: `/usr/bin/python3 tests/rtsp_server.py CLIP`. It writes its port
on a line, and then obeys lines: `mute` and `unmute` stop and resume the packets of sound.
"""

import argparse
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("clip")
    options.add_argument("--port", default="0")
    options.add_argument("--login", metavar="NAME:PASSWORD")
    options.add_argument("--silent", action="store_true", help="no track of sound")
    args = options.parse_args()
    Gst.init(None)

    launch = f'( filesrc location="{args.clip}" ! qtdemux name=d '
    launch += "d. ! queue ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=1 "
    if not args.silent:
        launch += "d. ! queue ! valve name=sound ! aacparse ! rtpmp4gpay name=pay1 pt=97 "
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(launch + ")")
    factory.set_shared(False)
    valves = []
    factory.connect(
        "media-configure", lambda _, media: valves.append(media.get_element().get_by_name("sound"))
    )

    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(args.port)
    if args.login:
        name, password = args.login.split(":", 1)
        auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "user")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(name, password), token)
        server.set_auth(auth)
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("user", "media.factory.access", True)
        permissions.add_permission_for_role("user", "media.factory.construct", True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/camera", factory)
    if not server.attach(None):
        sys.exit("cannot listen")
    print(server.get_bound_port(), flush=True)

    def obey() -> None:
        for line in sys.stdin:
            for valve in valves:
                valve.set_property("drop", line.strip() == "mute")

    threading.Thread(target=obey, daemon=True).start()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()

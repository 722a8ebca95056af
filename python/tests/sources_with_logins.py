"""Where packages may come from, and whether there is a login in it: validation and the image builder must say the same of each.

The builder is a program of its own, which shares no code with the package, so the rule stands in both.
"""

SOURCES = {
    "https://mirror.example/simple": False,
    "https://mirror.example:8443/simple": False,
    "http://[fd00::1]:3142/debian": False,
    "https://mirror.example/@simple": False,
    "https://mirror.example:8443/ada:b@simple": False,
    "git+https://git.example/b7.git@v1": False,
    "git+https://git.example:8443/b7.git@v1": False,
    # Of a key nothing is told by the user alone.
    "ssh://git@git.example/b7": False,
    "git+ssh://git@git.example/b7@v1": False,
    "https://ada:s3cret@mirror.example/simple": True,
    "https://s3cret@mirror.example/simple": True,
    "http://ada:s3cret@mirror.example": True,
    "http://:s3cret@mirror.example:3142/debian": True,
    "https://ada:s3cret@[fd00::1]/simple": True,
    "https://ada:s3c@ret@mirror.example/simple": True,
    "git+https://s3cret@git.example/b7@v1": True,
    "git+ssh://ada:s3cret@git.example/b7@v1": True,
}

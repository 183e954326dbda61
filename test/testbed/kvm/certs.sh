#!/bin/bash
# certs.sh DIR ADDR_A ADDR_B - a CA and one certificate per host for QEMU's and libvirt's own TLS, in the layout they expect:
# DIR/a and DIR/b hold ca-cert.pem, server-{cert,key}.pem, client-{cert,key}.pem. Only used to compare with QEMU's own encryption.
# They are good for 127.0.0.1 too, where bench/link stands in for the other host.
set -euo pipefail
dir=${1:?usage: certs.sh DIR ADDR_A ADDR_B}
declare -A address=([a]=$2 [b]=$3)
mkdir -p "$dir"
cd "$dir"
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1" && chmod 600 "$1"; }
key ca-key.pem
openssl req -x509 -new -key ca-key.pem -days 3650 -subj "/CN=vmsec testbed CA" -out ca-cert.pem \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign"
for h in a b; do
    mkdir -p $h
    key $h/server-key.pem
    openssl req -new -key $h/server-key.pem -subj "/O=vmsec/CN=vmsec-$h" |
        openssl x509 -req -CA ca-cert.pem -CAkey ca-key.pem -CAcreateserial -days 3650 -out $h/server-cert.pem -extfile <(cat <<C
basicConstraints = critical, CA:FALSE
keyUsage = digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:vmsec-$h, IP:${address[$h]}, IP:127.0.0.1
C
    ) 2>/dev/null
    cp ca-cert.pem $h/
    cp $h/server-cert.pem $h/client-cert.pem
    cp $h/server-key.pem $h/client-key.pem
done

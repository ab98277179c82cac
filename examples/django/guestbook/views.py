import redis
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.forms import ModelForm, TextInput
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from . import payments as incoming
from .models import Entry, Payment


class EntryForm(ModelForm):
    class Meta:
        model = Entry
        fields = ["message"]
        widgets = {"message": TextInput}


@require_http_methods(["GET", "HEAD", "POST"])
def entries(request):
    """Show the latest entries to everyone; take new ones from who is logged in."""
    if request.method == "POST" and not request.user.is_authenticated:
        return redirect_to_login(request.path)

    form = EntryForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.instance.author = request.user
        form.save()
        return redirect("entries")

    latest = Entry.objects.select_related("author")[:50]
    return render(request, "entries.html", {"form": form, "entries": latest})


@require_safe
def payments(request):
    return render(request, "payments.html", {"payments": Payment.objects.all()[:50]})


@csrf_exempt  # it comes from the provider's server, which proves itself by a signature
@require_POST
def payment_webhook(request):
    """Take a payment from the provider, who tries again unless it is accepted."""
    if not incoming.is_signed(request.body, request.headers.get("X-Signature", "")):
        return HttpResponse("not signed with the secret\n", status=403, content_type="text/plain")
    try:
        incoming.enqueue(incoming.parse(request.body))
    except ValueError:
        return HttpResponse("not a payment\n", status=400, content_type="text/plain")
    except redis.RedisError:
        return HttpResponse("try again later\n", status=503, content_type="text/plain")
    return HttpResponse("accepted\n", status=202, content_type="text/plain")


@require_safe
def healthz(request):
    """Answer 200 once the database is there and migrated."""
    Entry.objects.exists()
    return HttpResponse("ok\n", content_type="text/plain")


def version(request):
    """Context processor: every page's footer names the commit it comes from."""
    return {"review_ref": settings.REVIEW_REF, "review_sha": settings.REVIEW_SHA}
